//! The map of the test images, before and after training.

use selfsame_augment::Image;
use selfsame_data::Dataset;
use selfsame_report::Sprite;
use selfsame_report::record::{EmbeddingMap, MapImage, Projection, TsneMap};

use crate::rows::Chosen;
use crate::{Error, Features, MAX_DIM, Normalised, pca, sample, shrink, tsne};

/// Maximum number of test images on the map.
const MAP_IMAGES: usize = 600;
/// Largest side of a thumbnail, in pixels.
const SIDE: u32 = 32;

/// Projects the embeddings of test images onto a plane, by PCA and by t-SNE. The map is empty if
/// they have too many values for that.
pub(crate) fn map(
    dataset: &Dataset,
    trained: &Features,
    untrained: Option<&Features>,
) -> Result<EmbeddingMap, Error> {
    if trained.dim().max(untrained.map_or(0, Features::dim)) > MAX_DIM {
        return Ok(EmbeddingMap::default());
    }
    let chosen = sample(trained.rows(), MAP_IMAGES);
    let project = |features: &Features| -> Result<Projection, Error> {
        let pca = pca::project(&Normalised(&Chosen { rows: features, chosen: &chosen }))?;
        Ok(Projection { explained: pca.explained, points: pca.coordinates })
    };
    let place = |features: &Features| tsne::place(&Chosen { rows: features, chosen: &chosen });
    let (after, before) = rayon::join(|| place(trained), || untrained.map(place).transpose());
    let before = before?.flatten();
    let tsne = after?.map(|trained| TsneMap {
        perplexity: trained.perplexity,
        trained: trained.points,
        untrained: before.map(|untrained| untrained.points),
    });
    let test = &dataset.test;
    let shown: Vec<Image<'_>> = chosen.iter().map(|&i| test.image(i)).collect();
    let tiles = shrink(&shown, SIDE);
    let tiles: Vec<&[u8]> = tiles.iter().map(|tile| &**tile).collect();
    let side = dataset.image_size.min(SIDE);
    Ok(EmbeddingMap {
        method: "pca".into(),
        split: "test".into(),
        images: chosen
            .iter()
            .map(|&i| MapImage {
                name: test.name(i).to_owned(),
                label: test.labels().map(|labels| labels[i]),
            })
            .collect(),
        trained: project(trained)?,
        untrained: untrained.map(project).transpose()?,
        tsne,
        thumbs: Sprite::thumbnails(side, side, &tiles, 25).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::glyphs;

    #[test]
    fn features_too_wide_for_a_map_lose_only_the_map() {
        let dataset = glyphs();
        let count = dataset.test.len();
        let of = |dim| Features::new(count, dim, vec![0.5; count * dim]).unwrap();
        assert!(map(&dataset, &of(MAX_DIM + 1), None).unwrap().images.is_empty());
        let values = (0..2 * count).map(|i| (i * i % 7) as f32 - 2.5).collect();
        let varied = Features::new(count, 2, values).unwrap();
        let drawn = map(&dataset, &varied, Some(&of(2))).unwrap();
        let tsne = drawn.tsne.unwrap();
        assert_eq!((drawn.images.len(), tsne.trained.len()), (count, count));
        // Equal rows have no places.
        assert!(tsne.untrained.is_none() && drawn.untrained.is_some());
    }
}
