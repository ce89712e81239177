//! Which files get new names, and what these names depend on.

use crate::workshop::make;

#[test]
fn assets_alone_get_a_digest_before_their_last_extension() {
    let made = make(&[
        ("a.css", ""),
        ("assets/a.css", ""),
        ("assets/a.css.map", ""),
        ("assets/fonts/LICENSE", ""),
        ("assets/dot.", ""),
        ("deeper/assets/a.css", ""),
    ]);
    let mut form: Vec<String> = made
        .names()
        .iter()
        .map(|name| {
            let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            let parts = name.split('.');
            let parts = parts.map(|it| {
                if it.len() == 16 && it.chars().all(hex) {
                    "HASH"
                } else {
                    it
                }
            });
            parts.collect::<Vec<_>>().join(".")
        })
        .collect();
    form.sort();
    assert_eq!(
        form,
        [
            "a.css",
            "assets/a.HASH.css",
            "assets/a.css.HASH.map",
            "assets/dot..HASH",
            "assets/fonts/LICENSE.HASH",
            "deeper/assets/a.css",
        ]
    );
}

#[test]
fn a_name_depends_on_the_content_alone() {
    let before = make(&[
        ("assets/a.txt", "1"),
        ("assets/b.txt", "2"),
        ("page.html", "3"),
    ]);
    let after = make(&[
        ("assets/a.txt", "1"),
        ("assets/b.txt", "9"),
        ("page.html", "9"),
    ]);
    assert_eq!(before.name("assets/a.txt"), after.name("assets/a.txt"));
    assert_ne!(before.name("assets/b.txt"), after.name("assets/b.txt"));
}

/// Otherwise one name, which browsers cache forever, would stand for two contents.
#[test]
fn a_name_depends_on_all_assets_that_the_content_refers_to() {
    let chain = |end: &str| {
        make(&[
            ("assets/1.css", "@import '2.css';"),
            ("assets/2.css", "@import 'deep/3.css';"),
            ("assets/deep/3.css", "a { background: url(../4.svg) }"),
            ("assets/4.svg", end),
            ("assets/other.css", "@import 'https://example.com/4.svg';"),
        ])
    };
    let (before, after) = (chain("<svg></svg>"), chain("<svg> </svg>"));
    for name in [
        "assets/1.css",
        "assets/2.css",
        "assets/deep/3.css",
        "assets/4.svg",
    ] {
        assert_ne!(before.name(name), after.name(name));
    }
    assert_eq!(
        before.name("assets/other.css"),
        after.name("assets/other.css")
    );
}

#[test]
fn swapping_the_contents_of_two_files_renames_the_files_that_refer_to_them() {
    let css = ("assets/a.css", "a { background: url(1.png), url(2.png) }");
    let before = make(&[css, ("assets/1.png", "x"), ("assets/2.png", "y")]);
    let after = make(&[css, ("assets/1.png", "y"), ("assets/2.png", "x")]);
    assert_ne!(before.name("assets/a.css"), after.name("assets/a.css"));
}

#[test]
fn modules_may_refer_to_each_other() {
    let circle = |end: &str| {
        make(&[
            ("assets/a.js", "import './b.js'; import './a.js';"),
            ("assets/b.js", "import './c.js';"),
            ("assets/c.js", end),
        ])
    };
    let (before, after) = (circle("import('./a.js')"), circle("import('./a.js') "));
    before.assert_text("assets/a.js", "import './«b.js»'; import './«a.js»';");
    before.assert_text("assets/c.js", "import('./«a.js»')");
    for name in ["assets/a.js", "assets/b.js", "assets/c.js"] {
        assert_ne!(before.name(name), after.name(name));
    }
}
