//! How fast layers are made, read and looked at, each beside its limit: the same work by programs
//! that do nothing else, on the same files, in the same run. A program that is not here is named.
//!
//! ```text
//! cargo bench -p kiln-layer [FILTER]
//! ```
//!
//! `KILN_BENCH_FILES` says how many files there are (10,000), `TMPDIR` where (in memory).
#![allow(clippy::unwrap_used, clippy::print_stdout)] // it is a program for a terminal
#![cfg_attr(not(unix), allow(unused))]

#[cfg(unix)]
mod work;

#[cfg(unix)]
fn main() {
    divan::main();
    work::remove();
}

#[cfg(not(unix))]
fn main() {
    println!("not run: folders are looked at on unix only");
}

#[cfg(unix)]
mod pack {
    use divan::Bencher;
    use kiln_image::media::Compression;
    use kiln_layer::{Compressing, Compressor, Packing, pack_entries};

    use crate::work::{limit, open, scanned, work};

    fn packed(bencher: Bencher<'_, '_>, threads: usize, with: Compression) {
        let work = work();
        let how = Packing {
            threads,
            ..Packing::default()
        };
        bencher.counter(work.bytes()).bench_local(|| {
            let folder = scanned(0);
            let compressing = Compressing {
                threads,
                ..Compressing::new(with)
            };
            let out = Compressor::new(std::io::sink(), &compressing).unwrap();
            let entries = kiln_layer::Files::tree(&folder).iter();
            let (out, packed) = pack_entries(entries, &open(&folder), out, &how).unwrap();
            (packed.diff_id, out.finish().unwrap().1.digest)
        });
    }

    #[divan::bench]
    fn plain_one_thread(bencher: Bencher<'_, '_>) {
        packed(bencher, 1, Compression::None);
    }

    #[divan::bench]
    fn plain(bencher: Bencher<'_, '_>) {
        packed(bencher, 0, Compression::None);
    }

    #[divan::bench]
    fn plain_limit_tar_openssl(bencher: Bencher<'_, '_>) {
        limit(
            bencher,
            "openssl",
            "tar c -C $FOLDER . | openssl dgst -sha256",
        );
    }

    #[divan::bench]
    fn gzip(bencher: Bencher<'_, '_>) {
        packed(bencher, 0, Compression::Gzip);
    }

    #[divan::bench]
    fn gzip_limit_tar_pigz(bencher: Bencher<'_, '_>) {
        limit(bencher, "pigz", "tar c -C $FOLDER . | pigz -6 > /dev/null");
    }

    #[divan::bench]
    fn zstd(bencher: Bencher<'_, '_>) {
        packed(bencher, 0, Compression::Zstd);
    }

    #[divan::bench]
    fn zstd_limit_tar_zstd(bencher: Bencher<'_, '_>) {
        limit(
            bencher,
            "zstd",
            "tar c -C $FOLDER . | zstd -q -3 -T0 > /dev/null",
        );
    }
}

#[cfg(unix)]
mod unpack {
    use divan::Bencher;
    use kiln_layer::{Directory, Nothing, Whiteouts, apply};

    use crate::work::{limit_into, temporary, work};

    #[divan::bench]
    fn into_a_folder(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher
            .counter(work.bytes())
            .with_inputs(temporary)
            .bench_local_values(|to| {
                let mut target = Directory::new(to.path(), Whiteouts::Apply).unwrap();
                let applied = apply(&work.tar[..], &mut target).unwrap();
                (to, applied.diff_id)
            });
    }

    #[divan::bench]
    fn into_nothing(bencher: Bencher<'_, '_>) {
        let work = work();
        let bencher = bencher.counter(work.bytes());
        bencher.bench_local(|| apply(&work.tar[..], &mut Nothing).unwrap().diff_id);
    }

    #[divan::bench]
    fn limit_tar(bencher: Bencher<'_, '_>) {
        limit_into(bencher, "tar", "tar x -C $TO -f $TAR");
    }

    #[divan::bench]
    fn limit_cp(bencher: Bencher<'_, '_>) {
        limit_into(bencher, "cp", "cp -a $FOLDER/. $TO");
    }
}

#[cfg(unix)]
mod scan {
    use divan::Bencher;
    use kiln_layer::{Folder, Keep, Scan};

    use crate::work::{limit, scanned, work};

    #[divan::bench]
    fn everything_read(bencher: Bencher<'_, '_>) {
        let bencher = bencher.counter(work().bytes());
        bencher.bench_local(|| scanned(u64::MAX));
    }

    #[divan::bench]
    fn nothing_read(bencher: Bencher<'_, '_>) {
        work();
        bencher.bench_local(|| scanned(0));
    }

    #[divan::bench]
    fn everything_known(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher.bench_local(|| {
            let how = Scan {
                index: work.index.as_ref(),
                ..Scan::default()
            };
            let (folder, scanned) =
                Folder::scan_with(&work.folder, &|_, _| Keep::Yes, &how).unwrap();
            assert_eq!((scanned.read, scanned.unread), (0, 0));
            folder
        });
    }

    #[divan::bench]
    fn limit_find(bencher: Bencher<'_, '_>) {
        limit(bencher, "find", "find $FOLDER -printf %s > /dev/null");
    }
}

#[cfg(unix)]
mod trees {
    use divan::Bencher;
    use kiln_layer::{LayerPath, Tree, diff, flatten, usage::Usage};

    use crate::work::work;

    #[divan::bench]
    fn diff_one_changed(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher.bench_local(|| diff(&work.tree, &work.changed));
    }

    #[divan::bench]
    fn flatten_two(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher.bench_local(|| flatten(&[&work.tree, &work.changed]));
    }

    #[divan::bench]
    fn usage_of_two(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher.bench_local(|| Usage::of(&[&work.tree, &work.changed]).wastes().len());
    }

    #[divan::bench]
    fn encode(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher.bench_local(|| work.tree.encode());
    }

    #[divan::bench]
    fn map_and_look_up_one(bencher: Bencher<'_, '_>) {
        let work = work();
        let path: LayerPath = work.tree.iter().last().unwrap().path.clone();
        bencher.bench_local(|| {
            let (tree, digest) = Tree::map(&work.stored).unwrap();
            assert!(tree.get(&path).is_some());
            digest
        });
    }

    #[divan::bench]
    fn map_and_look_at_all(bencher: Bencher<'_, '_>) {
        let work = work();
        bencher.bench_local(|| Tree::map(&work.stored).unwrap().0.iter().count());
    }
}

#[cfg(unix)]
mod compress {
    use divan::Bencher;
    use kiln_image::media::Compression;
    use kiln_layer::decompress;

    use crate::work::{limit, work};

    fn compressed(bencher: Bencher<'_, '_>, with: Compression) {
        let work = work();
        bencher.counter(work.bytes()).bench_local(|| {
            let to = &mut std::io::sink();
            kiln_layer::compress(&mut &work.tar[..], to, with, None).unwrap()
        });
    }

    fn decompressed(bencher: Bencher<'_, '_>, with: Compression) {
        let work = work();
        let mut blob = Vec::new();
        kiln_layer::compress(&mut &work.tar[..], &mut blob, with, None).unwrap();
        bencher.counter(work.bytes()).bench_local(|| {
            let (_, mut plain) = decompress(&blob[..]).unwrap();
            std::io::copy(&mut plain, &mut std::io::sink()).unwrap()
        });
    }

    #[divan::bench]
    fn gzip(bencher: Bencher<'_, '_>) {
        compressed(bencher, Compression::Gzip);
    }

    #[divan::bench]
    fn gzip_limit_pigz(bencher: Bencher<'_, '_>) {
        limit(bencher, "pigz", "pigz -6 < $TAR > /dev/null");
    }

    #[divan::bench]
    fn zstd(bencher: Bencher<'_, '_>) {
        compressed(bencher, Compression::Zstd);
    }

    #[divan::bench]
    fn zstd_limit_zstd(bencher: Bencher<'_, '_>) {
        limit(bencher, "zstd", "zstd -q -3 -T0 < $TAR > /dev/null");
    }

    #[divan::bench]
    fn gunzip(bencher: Bencher<'_, '_>) {
        decompressed(bencher, Compression::Gzip);
    }

    #[divan::bench]
    fn unzstd(bencher: Bencher<'_, '_>) {
        decompressed(bencher, Compression::Zstd);
    }
}
