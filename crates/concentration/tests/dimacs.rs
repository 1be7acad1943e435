//! Graph files: what is read, what is refused, and the published graphs.

use std::io::BufReader;
use std::path::Path;

use selfsame_concentration::clique::{Options, maximum_clique, verify};
use selfsame_concentration::{Dimacs, Graph, MAX_VERTICES};

fn error(text: &str) -> String {
    Graph::read_dimacs(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn the_format_is_read_with_its_liberties() {
    let text = "c comment\ncno space\n\np col 4 3\r\ne 1 2\n  e 2  1 \ne 4 3";
    let graph = Graph::read_dimacs(text.as_bytes()).unwrap();
    assert_eq!(graph, Graph::from_edges(4, [(0, 1), (2, 3)]));
    assert_eq!(Graph::read_dimacs(&b"c \xff\xfe\np edge 0 0\n"[..]).unwrap(), Graph::new(0));
}

#[test]
fn each_fault_is_named_with_its_line() {
    assert_eq!(error(""), "the file is empty");
    assert_eq!(error("\n"), "line 2: `p edge VERTICES EDGES` must come before the edges");
    assert_eq!(error("c\ne 1 2\n"), "line 2: `p edge VERTICES EDGES` must come before the edges");
    assert_eq!(error("p edge 3 1\ne 1 4\n"), "line 2 names vertex 4, but they run from 1 to 3");
    assert_eq!(error("p edge 3 1\ne 0 1\n"), "line 2 names vertex 0, but they run from 1 to 3");
    assert_eq!(error("p edge 3 1\ne 2 2\n"), "line 2 joins vertex 2 to itself");
    assert_eq!(error("p edge 3 1\np edge 3 1\n"), "line 2 is a second `p` line");
    for edge in ["e 1", "e 1 2 3", "e -1 2", "e 1 2.0", "e 1 99999999999999999999"] {
        assert_eq!(error(&format!("p edge 3 1\n{edge}\n")), "line 2 is not `e VERTEX VERTEX`");
    }
    for problem in
        ["p edge 3", "p edge x 1", "p edge 3 1 1", "p tree 3 1", "p edge -1 1", "p edge 3 y"]
    {
        assert_eq!(error(problem), "line 1 is not `p edge VERTICES EDGES`");
    }
    let many = "p edge 18446744073709551615 1";
    assert!(error(many).starts_with("line 1 announces 18446744073709551615 vertices"));
    assert!(Graph::read_dimacs(format!("p edge {MAX_VERTICES} 0").as_bytes()).is_ok());
    assert!(error(&format!("p edge {} 0", MAX_VERTICES + 1)).starts_with("line 1 announces"));
    assert!(error("z 1 2").starts_with("line 1 begins with `z`"));
    assert_eq!(error("n 1 2\n"), "line 2: `p edge VERTICES EDGES` must come before the edges");
    assert_eq!(error(&format!("c\nc{}", "x".repeat(1 << 16))), "line 2 is longer than 65536 bytes");
}

#[test]
fn weights_and_places_are_passed_over_by_name() {
    let text = "\u{feff}c of a Windows editor\r\np edge 3 2\r\nn 1 7\r\nd 2\r\nv 0.5 1\r\n\
                x SEED 3\r\n e 1 2\r\n\te 2 3\r\n";
    let dimacs = Dimacs::read(text.as_bytes()).unwrap();
    assert_eq!(dimacs.graph, Graph::from_edges(3, [(0, 1), (1, 2)]));
    assert_eq!((dimacs.unused.iter().collect::<String>(), dimacs.line), ("dnvx".into(), 2));
    assert!(Dimacs::read("p edge 1 0\n".as_bytes()).unwrap().unused.is_empty());
}

/// A graph in the binary form, as the challenge's `asc2bin` writes it.
fn binary(graph: &Graph, announced: usize) -> Vec<u8> {
    let preamble = format!("c binary\np col {} {announced}\n", graph.vertices());
    let mut bytes = format!("{}\n{preamble}", preamble.len()).into_bytes();
    for u in 0..graph.vertices() {
        let mut row = vec![0_u8; (u + 8) / 8];
        for v in (0..u).filter(|&v| graph.has_edge(u, v)) {
            row[v / 8] |= 1 << (7 - v % 8);
        }
        bytes.extend(row);
    }
    bytes
}

#[test]
fn the_binary_form_is_the_same_graph() {
    let edges: Vec<(usize, usize)> = (0..40)
        .flat_map(|u| (0..u).map(move |v| (u, v)))
        .filter(|(u, v)| (u * v) % 5 == 1)
        .collect();
    let graph = Graph::from_edges(40, edges.iter().copied());
    let bytes = binary(&graph, edges.len());
    let dimacs = Dimacs::read(&bytes[..]).unwrap();
    assert!(dimacs.is_whole() && dimacs.line == 3);
    assert_eq!(dimacs.graph, graph);

    let cut = Dimacs::read(&bytes[..bytes.len() - 1]).unwrap_err().to_string();
    assert_eq!(cut, "the binary file ends within row 40 of 40: is it cut off?");
    let error = |text: &[u8]| Dimacs::read(text).unwrap_err().to_string();
    assert!(error(b"7\n").contains("must come before the edges"));
    assert!(error(b"99999999999\n").starts_with("line 1 announces 99999999999 bytes of text"));
}

#[test]
fn cases_from_elsewhere_have_their_cliques() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    for (name, unused) in [("node-lines.clq", "n"), ("binary.clq.b", "")] {
        let file = std::fs::File::open(folder.join(name)).unwrap();
        let dimacs = Dimacs::read(BufReader::new(file)).unwrap();
        assert!(dimacs.is_whole() && dimacs.unused.iter().collect::<String>() == unused, "{name}");
        let clique = maximum_clique(&dimacs.graph, &Options::default());
        assert_eq!(clique.omega(), Some(3), "{name}");
    }
}

/// The second DIMACS challenge's graphs and their clique numbers, where the files are there.
#[test]
fn published_graphs_have_their_clique_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/clique");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    // sanr200_0.9, the hardest, is left to the example `cliques`.
    let known = [
        ("brock200_1", 21),
        ("brock200_2", 12),
        ("brock200_4", 17),
        ("C125.9", 34),
        ("c-fat200-5", 58),
        ("gen200_p0.9_44", 44),
        ("hamming8-4", 16),
        ("johnson16-2-4", 8),
        ("keller4", 11),
        ("p_hat300-3", 36),
        ("p_hat500-2", 36),
        ("san200_0.9_2", 60),
        ("sanr200_0.7", 18),
        ("MANN_a27", 126),
    ];
    for (name, omega) in known {
        let file = std::fs::File::open(folder.join(format!("{name}.clq"))).unwrap();
        let graph = Graph::read_dimacs(BufReader::new(file)).unwrap();
        let clique = maximum_clique(&graph, &Options { threads: 2, ..Options::default() });
        assert_eq!(clique.omega(), Some(omega), "{name}");
        assert!(verify(&graph, &clique.witness), "{name}");
    }
}

#[test]
fn a_file_cut_off_is_not_whole() {
    let whole = |announced: u64| {
        let dimacs =
            Dimacs::read(format!("c\np edge 3 {announced}\ne 1 2\ne 2 1\ne 2 3\n").as_bytes())
                .unwrap();
        assert_eq!((dimacs.announced, dimacs.line, dimacs.graph.edges()), (announced, 2, 2));
        dimacs.is_whole()
    };
    assert_eq!(
        [0, 1, 2, 3, 4, 5, u64::MAX].map(whole),
        [false, true, true, false, true, false, false]
    );
}
