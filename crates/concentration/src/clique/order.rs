//! Orders vertices for the search, and removes the vertices that cannot matter.

use crate::{Graph, bits};

/// Reduces `within` to the vertices of its k-core: repeatedly removes vertices with fewer than
/// `degree` neighbours in `within`. A clique of degree + 1 vertices lies within the core.
pub(crate) fn core(graph: &Graph, within: &mut [u64], degree: usize) {
    if degree == 0 {
        return;
    }
    loop {
        let mut changed = false;
        for index in 0..within.len() {
            let mut rest = within[index];
            while rest != 0 {
                let v = index * 64 + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if bits::common(graph.row(v), within) < degree {
                    bits::remove(within, v);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// Returns the vertices of `within` in the order of the search, the densest part first. The last
/// vertex is the one with the smallest degree, the vertex before it has the smallest degree among
/// the others, and so on (the min-width or degeneracy order).
///
/// Among vertices of equal degree, the vertex whose neighbours have the smallest sum of degrees is
/// chosen first, and then the vertex with the highest index, as in Tomita's MCR and its
/// descendants.
pub(crate) fn degeneracy(graph: &Graph, within: &[u64]) -> Vec<u32> {
    let n = graph.vertices();
    let mut remaining = within.to_vec();
    let mut degree = vec![0_u32; n];
    bits::for_each(within, |v| degree[v] = bits::common(graph.row(v), within) as u32);
    let mut support = vec![0_u32; n];
    let mut common = vec![0; graph.words()];
    bits::for_each(within, |v| {
        bits::intersect(&mut common, graph.row(v), within);
        support[v] = bits::iter(&common).map(|u| degree[u]).sum();
    });
    let mut order = Vec::with_capacity(bits::count(within));
    while let Some(least) = bits::iter(&remaining).map(|v| (degree[v], support[v])).min() {
        let v = bits::iter(&remaining)
            .filter(|&v| (degree[v], support[v]) == least)
            .last()
            .expect("one is the least");
        bits::remove(&mut remaining, v);
        order.push(v as u32);
        bits::intersect(&mut common, graph.row(v), &remaining);
        bits::for_each(&common, |u| degree[u] -= 1);
    }
    order.reverse();
    order
}
