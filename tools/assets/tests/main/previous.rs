//! The output has the previous version's assets, but not those of the version before that.

use std::{collections::BTreeSet, fs};

use crate::workshop::{Made, Workshop, failed, make, tool};

/// Long enough to be worth compressing.
fn css(color: &str) -> String {
    format!("{}\n", format!("a {{ color: {color} }}\n").repeat(20))
}

fn release(a: &str, b: &str, page: &str, previous: Option<&Made>) -> Made {
    let files = [
        ("assets/a.css", &*css(a)),
        ("assets/b.css", &*css(b)),
        (
            "page.html",
            &*format!("<link href=assets/a.css><link href=assets/b.css>{page}"),
        ),
    ];
    Workshop::new(&files).make(previous)
}

/// All files but the list of assets, with their folders.
fn files(made: &Made) -> BTreeSet<String> {
    let files = ["site", "site.br", "site.gzip"].map(|folder| {
        let files = made.files(folder).into_keys();
        files
            .map(|name| format!("{folder}/{name}"))
            .collect::<BTreeSet<String>>()
    });
    files.into_iter().flatten().collect()
}

/// The files that are in `made` but not in `than`.
fn more(made: &Made, than: &Made) -> Vec<String> {
    files(made).difference(&files(than)).cloned().collect()
}

#[test]
fn three_generations() {
    let alone = |a, b| release(a, b, "", None);
    let first = release("red", "red", "", None);
    let second = release("blue", "red", "", Some(&first));
    let third = release("green", "red", "", Some(&second));

    let old = |made: &Made| {
        let name = made.name("assets/a.css");
        ["site.br", "site.gzip", "site"].map(|folder| format!("{folder}/{name}"))
    };
    assert_eq!(
        more(&second, &alone("blue", "red")),
        old(&alone("red", "red"))
    );
    assert_eq!(
        more(&third, &alone("green", "red")),
        old(&alone("blue", "red"))
    );

    // Unchanged, with the compressed copies and the times.
    let (then, now) = (first.entries(), second.entries());
    for name in old(&first) {
        assert_eq!(then[&name], now[&name], "{name}");
    }
    // The new page refers to the new assets only.
    assert_eq!(
        second.text("page.html"),
        alone("blue", "red").text("page.html")
    );
}

#[test]
fn a_second_build_loses_nothing() {
    let first = release("red", "red", "", None);
    let second = release("blue", "red", "", Some(&first));
    let again = release("blue", "red", "", Some(&second));
    assert_eq!(second.entries(), again.entries());
    // Neither does a new page with the same assets.
    let page = release("blue", "red", "new", Some(&again));
    assert_eq!(files(&page), files(&again));
    // The first version has no previous one.
    assert_eq!(
        release("red", "red", "", Some(&first)).entries(),
        first.entries()
    );
}

#[test]
fn a_rollback_keeps_the_newer_assets() {
    let first = release("red", "red", "", None);
    let second = release("blue", "red", "", Some(&first));
    let back = release("red", "red", "", Some(&second));
    assert_eq!(files(&back), files(&second));
    assert_eq!(back.text("page.html"), first.text("page.html"));
}

#[test]
fn removed_assets_are_kept() {
    let first = release("red", "red", "", None);
    let none = Workshop::new(&[("page.html", "")]).make(Some(&first));
    let assets: BTreeSet<_> = first
        .names()
        .into_iter()
        .filter(|it| it.starts_with("assets/"))
        .collect();
    assert_eq!(assets.len(), 2);
    assert!(
        none.names()
            .into_iter()
            .collect::<BTreeSet<_>>()
            .is_superset(&assets)
    );
}

#[test]
fn pages_are_not_kept() {
    let first = make(&[("old.html", ""), ("assets/a.css", "a")]);
    let second = Workshop::new(&[("new.html", "")]).make(Some(&first));
    assert!(!second.names().contains(&"old.html".to_owned()));
}

/// That is so at the first build, and with an image that was built without this program.
#[test]
fn a_missing_previous_version() {
    let expected = release("red", "red", "", None).entries();
    for is_there in [false, true] {
        let workshop = Workshop::new(&[]);
        let previous = workshop.out();
        if is_there {
            fs::create_dir_all(previous.join("site/assets")).unwrap();
            fs::write(previous.join("site/assets/x.0123456789abcdef.css"), "").unwrap();
        }
        let made = Made::at(previous);
        assert_eq!(release("red", "red", "", Some(&made)).entries(), expected);
    }
}

#[test]
fn an_unreadable_previous_version() {
    let workshop = Workshop::new(&[]);
    let previous = workshop.site().join("previous");
    fs::create_dir_all(previous.join("assets.txt")).unwrap();
    let mut tool = tool(&workshop.site(), &workshop.out());
    let said = failed(tool.arg("--previous").arg(&previous).output().unwrap());
    assert!(said.contains("/assets.txt can't be read: "), "{said}");
    assert!(
        said.contains("name another previous version, or none"),
        "{said}"
    );
}
