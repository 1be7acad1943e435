use selfsame_concentration::*;
fn main() {
    for f in std::env::args().skip(1) {
        let g = if let Some(r) = f.strip_prefix("rand:") {
            let mut it = r.split(':'); let n: usize = it.next().unwrap().parse().unwrap(); let p: f64 = it.next().unwrap().parse().unwrap();
            let mut s = 12345u64; let mut e = vec![];
            for i in 0..n { for j in i+1..n { s ^= s << 13; s ^= s >> 7; s ^= s << 17; if ((s >> 11) as f64 / (1u64<<53) as f64) < p { e.push((i,j)); } } }
            Graph::from_edges(n, e)
        } else { Graph::read_dimacs(std::io::BufReader::new(std::fs::File::open(&f).unwrap())).unwrap() };
        let t = std::time::Instant::now();
        let (w, nodes) = clique::quick(&g);
        println!("{f} {w} {nodes} {:.3}", t.elapsed().as_secs_f64());
    }
}
