//! Which text is a reference and rewritten, and which stays as it is.

use crate::workshop::make;

#[test]
fn in_html() {
    let made = make(&[
        ("assets/a.css", "a"),
        ("assets/b.png", "b"),
        ("assets/c.pdf", "c"),
        (
            "page.html",
            "\u{feff}<!DOCTYPE html>\r\n<LINK  Rel=stylesheet\n HREF=assets/a.css >\n\
             <img src='assets/b.png'><video poster=\" assets/b.png \"></video><object data=./assets/b.png></object>\n\
             <svg><use xlink:href=\"/assets/b.png#x\"/></svg>\n\
             <meta property=og:image content=assets/b.png><meta content=\"assets/none.png\">\n\
             <a href=assets/c.pdf?a=1&amp;b=2&c#p=3>é</a><a href=assets/>all</a><a href=\"?assets/c.pdf\"></a>\n\
             <!-- <img src=assets/b.png> --><script>'<img src=assets/b.png>'</script>\n\
             <a href=//example.com/assets/b.png title='assets/b.png'></a><form action=assets/c.pdf></form>",
        ),
    ]);
    made.assert_text(
        "page.html",
        "\u{feff}<!DOCTYPE html>\r\n<LINK  Rel=stylesheet\n HREF=assets/«a.css» >\n\
         <img src='assets/«b.png»'><video poster=\"assets/«b.png»\"></video><object data=./assets/«b.png»></object>\n\
         <svg><use xlink:href=\"/assets/«b.png»#x\"/></svg>\n\
         <meta property=og:image content=assets/«b.png»><meta content=\"assets/none.png\">\n\
         <a href=assets/«c.pdf»?a=1&amp;b=2&amp;c#p=3>é</a><a href=assets/>all</a><a href=\"?assets/c.pdf\"></a>\n\
         <!-- <img src=assets/b.png> --><script>'<img src=assets/b.png>'</script>\n\
         <a href=//example.com/assets/b.png title='assets/b.png'></a><form action=assets/c.pdf></form>",
    );
}

#[test]
fn in_noscript() {
    let made = make(&[
        ("assets/a.css", "a"),
        ("assets/b.png", "b"),
        (
            "page.html",
            "<p>é</p><noscript>é<link rel=stylesheet href=assets/a.css></noscript>\r\n\
             <noscript></noscript><img src=assets/b.png>text<noscript><img src=assets/b.png></noscript>",
        ),
    ]);
    made.assert_text(
        "page.html",
        "<p>é</p><noscript>é<link rel=stylesheet href=assets/«a.css»></noscript>\r\n\
         <noscript></noscript><img src=assets/«b.png»>text<noscript><img src=assets/«b.png»></noscript>",
    );
}

#[test]
fn in_srcset() {
    let made = make(&[
        ("assets/a.png", "a"),
        ("assets/b,c.png", "b"),
        (
            "deep/er/page.htm",
            "<img srcset=\" ../../assets/a.png 1x,../../assets/b,c.png?x=1&amp;y=2  2x , ../../assets/a.png, /x.png\">\
             <link imagesrcset='/assets/a.png 100w'>",
        ),
    ]);
    made.assert_text(
        "deep/er/page.htm",
        "<img srcset=\" ../../assets/«a.png» 1x,../../assets/b%2Cc.HASH.png?x=1&amp;y=2  2x , ../../assets/«a.png», \
         /x.png\"><link imagesrcset='/assets/«a.png» 100w'>"
            .replace("b%2Cc.HASH.png", &made.name("assets/b,c.png")["assets/".len()..].replace(',', "%2C"))
            .as_str(),
    );
}

#[test]
fn in_style_sheets() {
    let made = make(&[
        ("assets/a.png", "a"),
        ("assets/b.css", "@media { b { background: url(a.png) } }"),
        (
            "assets/c/d.css",
            "@import '../b.css' layer(x);@IMPORT /* y */ \"../b.css\";@import url(../b.css);\n\
             a { background: URL( '../a.png' ), url(  ../a.png ), url(\\2e\\2e/a.png?x#y); content: '../a.png'; }\n\
             b { background: image-set(\"../a.png\" type('../a.png') 1x); src: url(data:x) format('../a.png'), url(#z) }\n\
             /* url(none.png) @import 'none.css'; */",
        ),
        ("site.css", "c { background: url(/assets/a.png) }"),
    ]);
    made.assert_text(
        "assets/c/d.css",
        "@import '../«b.css»' layer(x);@IMPORT /* y */ \"../«b.css»\";@import url(../«b.css»);\n\
         a { background: URL( '../«a.png»' ), url(  ../«a.png» ), url(../«a.png»?x#y); content: '../a.png'; }\n\
         b { background: image-set(\"../«a.png»\" type('../a.png') 1x); src: url(data:x) format('../a.png'), url(#z) }\n\
         /* url(none.png) @import 'none.css'; */",
    );
    made.assert_text("assets/b.css", "@media { b { background: url(«a.png») } }");
    made.assert_text("site.css", "c { background: url(/assets/«a.png») }");
}

#[test]
fn in_scripts() {
    let made = make(&[
        ("assets/a.mjs", "export const a = 1;"),
        ("assets/b.png", "b"),
        (
            "assets/c.js",
            "import a from './a.mjs'; import 'bare'; import '/assets/a.mjs'; export * from \"./a.mjs\"\n\
             export { a as b } from './a.mjs' // import './none.js'\n\
             const quote = /\"/, text = \"import './none.js'\", path = '/assets/b.png?x', other = `/assets/b.png`\n\
             const none = ['b.png', './b.png', '/assets/none.png', `${text}/assets/b.png`]\n\
             await import('./a.mjs'); await import(path); new Worker(new URL('a.mjs', import.meta.url))\n\
             const base = new URL('./', import.meta.url), page = new URL('none.mjs', location)",
        ),
        // A script in sloppy mode, which a module can't have.
        ("sw.js", "with (self) { addAll(['/assets/b.png']) }"),
    ]);
    made.assert_text(
        "assets/c.js",
        "import a from './«a.mjs»'; import 'bare'; import '/assets/«a.mjs»'; export * from \"./«a.mjs»\"\n\
         export { a as b } from './«a.mjs»' // import './none.js'\n\
         const quote = /\"/, text = \"import './none.js'\", path = '/assets/«b.png»?x', other = `/assets/«b.png»`\n\
         const none = ['b.png', './b.png', '/assets/none.png', `${text}/assets/b.png`]\n\
         await import('./«a.mjs»'); await import(path); new Worker(new URL('«a.mjs»', import.meta.url))\n\
         const base = new URL('./', import.meta.url), page = new URL('none.mjs', location)",
    );
    made.assert_text("sw.js", "with (self) { addAll(['/assets/«b.png»']) }");
}

#[test]
fn in_web_manifests() {
    let manifest = r#"{ "name": "é", "icons": [{"src": "../assets/a.png"}, {"src": "none.png"}], "start_url": "." }"#;
    let made = make(&[
        ("assets/a.png", "a"),
        ("app/app.webmanifest", manifest),
        ("app/manifest.json", manifest),
        ("app/data.json", manifest),
    ]);
    let rewritten = manifest.replace("a.png", "«a.png»");
    made.assert_text("app/app.webmanifest", &rewritten);
    made.assert_text("app/manifest.json", &rewritten);
    made.assert_text("app/data.json", manifest);
}

#[test]
fn in_svg() {
    let made = make(&[
        ("assets/a.png", "a"),
        (
            "assets/b.svg",
            "<?xml version='1.0'?><svg><image href='a.png'/><title>assets/a.png</title></svg>",
        ),
    ]);
    made.assert_text(
        "assets/b.svg",
        "<?xml version='1.0'?><svg><image href='«a.png»'/><title>assets/a.png</title></svg>",
    );
}

#[test]
fn to_source_maps() {
    let made = make(&[
        ("assets/a.js", "a()\n//# sourceMappingURL=a.js.map"),
        ("assets/a.js.map", "{}"),
        ("assets/a.css", "a {}\n/*# sourceMappingURL=a.css.map */"),
        ("assets/a.css.map", "{}"),
        ("assets/b.js", "b()\n//# sourceMappingURL=not-shipped.map"),
    ]);
    made.assert_text("assets/a.js", "a()\n//# sourceMappingURL=«a.js.map»");
    made.assert_text("assets/a.css", "a {}\n/*# sourceMappingURL=«a.css.map» */");
    made.assert_text("assets/b.js", "b()\n//# sourceMappingURL=not-shipped.map");
}

#[test]
fn to_names_that_need_an_escape() {
    let made = make(&[
        ("assets/my files/a b(1)'\"&é.png", "a"),
        (
            "page.html",
            "<img src=\"assets/my%20files/a%20b(1)'%22&amp;é.png\"><img src=\"assets/my files/a b(1)'&quot;&amp;é.png\">",
        ),
        (
            "page.css",
            r#"a { background: url("assets/my files/a b(1)'\"&é.png") }"#,
        ),
        (
            "page.js",
            r#"new URL('assets/my files/a b(1)\'"&é.png', import.meta.url)"#,
        ),
    ]);
    let name = made.name("assets/my files/a b(1)'\"&é.png");
    let digest = name.split('.').nth(1).unwrap();
    let url = format!("assets/my%20files/a%20b%281%29%27%22%26%C3%A9.{digest}.png");
    made.assert_text(
        "page.html",
        &format!("<img src=\"{url}\"><img src=\"{url}\">"),
    );
    made.assert_text("page.css", &format!("a {{ background: url(\"{url}\") }}"));
    made.assert_text("page.js", &format!("new URL('{url}', import.meta.url)"));
}
