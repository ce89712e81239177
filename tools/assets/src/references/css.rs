//! Finds references in style sheets.

use cssparser::{ParseError, Parser, Token};

use super::{Reference, source_map};
use crate::files::Outcome;

pub fn read(text: &str) -> Outcome<Vec<Reference>> {
    let mut found = Vec::new();
    read_block(&mut Parser::new(text), false, &mut found);
    Ok(found)
}

/// Reads a block and the blocks inside it. `takes_url` says whether a string in this block is a URL.
fn read_block(block: &mut Parser<'_>, takes_url: bool, found: &mut Vec<Reference>) {
    let mut is_import = false;
    loop {
        let start = block.position();
        let Ok(token) = block.next_including_whitespace_and_comments() else {
            return;
        };
        let token = token.clone();
        let at = start.byte_index();
        let text = block.slice_from(start);
        let was_import = is_import;
        is_import = false;
        match token {
            Token::AtKeyword(name) => is_import = name.eq_ignore_ascii_case("import"),
            Token::WhiteSpace(_) => is_import = was_import,
            Token::Comment(comment) => {
                is_import = was_import;
                found.extend(source_map(comment, at + 2));
            }
            Token::QuotedString(url) if takes_url || was_import => {
                found.push(Reference::certain(at + 1..at + text.len() - 1, &*url));
            }
            Token::UnquotedUrl(url) => {
                let inner = text.trim_end_matches(')');
                let inner = &inner[inner.find('(').map_or(0, |open| open + 1)..];
                let start = at + text.trim_end_matches(')').len() - inner.trim_start().len();
                found.push(Reference::certain(start..start + inner.trim().len(), &*url));
            }
            Token::Function(name) => {
                let names = ["url", "src", "image-set", "-webkit-image-set"];
                let takes_url = names.iter().any(|it| name.eq_ignore_ascii_case(it));
                read_nested(block, takes_url, found);
            }
            Token::ParenthesisBlock | Token::SquareBracketBlock | Token::CurlyBracketBlock => {
                read_nested(block, false, found);
            }
            _ => {}
        }
    }
}

fn read_nested(block: &mut Parser<'_>, takes_url: bool, found: &mut Vec<Reference>) {
    // Invalid parts are skipped, as browsers do.
    let _ = block.parse_nested_block(|block| -> Result<(), ParseError<()>> {
        read_block(block, takes_url, found);
        Ok(())
    });
}
