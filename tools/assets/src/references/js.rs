//! Finds references in scripts, and in JSON, which is a JavaScript expression.

use std::ops::Range;

use oxc::{
    allocator::Allocator,
    ast::ast::{
        Argument, ExportAllDeclaration, ExportFromDeclaration, Expression, ImportDeclaration,
        ImportExpression, NewExpression, StringLiteral, TemplateLiteral,
    },
    ast_visit::{Visit, walk},
    parser::Parser,
    span::{SourceType, Span},
};

use super::{Reference, source_map};
use crate::files::Outcome;

pub fn read(text: &str) -> Outcome<Vec<Reference>> {
    let mut finder = Finder {
        found: Vec::new(),
        any_string: false,
    };
    finder.read(text)?;
    Ok(finder.found)
}

/// Finds references in JSON, where any string may be one.
pub fn read_json(text: &str) -> Outcome<Vec<Reference>> {
    let mut finder = Finder {
        found: Vec::new(),
        any_string: true,
    };
    finder.read(&format!("({text})"))?;
    for reference in &mut finder.found {
        reference.range = reference.range.start - 1..reference.range.end - 1;
    }
    Ok(finder.found)
}

struct Finder {
    found: Vec<Reference>,
    any_string: bool,
}

impl Finder {
    fn read(&mut self, text: &str) -> Outcome<()> {
        let allocator = Allocator::default();
        // A file does not say whether it is a module. Only a script may use sloppy mode.
        let parse = |kind| Parser::new(&allocator, text, kind).parse();
        let mut parsed = parse(SourceType::mjs());
        if parsed.panicked {
            parsed = parse(SourceType::script());
        }
        if parsed.panicked {
            let errors: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
            return Err(format!(
                "browsers could not parse it ({}); correct it",
                errors.join("; ")
            ));
        }
        for comment in &parsed.program.comments {
            let range = inner(comment.span);
            self.found.extend(source_map(
                &text[range.start + 1..range.end + 1],
                range.start + 1,
            ));
        }
        self.visit_program(&parsed.program);
        Ok(())
    }

    /// Adds the specifier of an `import` or `export`, unless it is a bare name, which is not a URL.
    fn specifier(&mut self, literal: &StringLiteral<'_>) {
        if ["/", "./", "../"]
            .iter()
            .any(|it| literal.value.starts_with(it))
        {
            self.certain(literal);
        }
    }

    fn certain(&mut self, literal: &StringLiteral<'_>) {
        self.found.push(Reference::certain(
            inner(literal.span),
            literal.value.as_str(),
        ));
    }

    /// Adds any other string, which may be the path of a file from the root.
    fn string(&mut self, span: Span, value: &str) {
        if self.any_string || value.starts_with('/') {
            self.found.push(Reference::possible(inner(span), value));
        }
    }
}

impl<'a> Visit<'a> for Finder {
    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        self.specifier(&it.source);
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.specifier(&it.source);
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.specifier(&it.source);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        match &it.source {
            Expression::StringLiteral(source) => self.specifier(source),
            _ => walk::walk_import_expression(self, it),
        }
    }

    /// `new URL("…", import.meta.url)`
    fn visit_new_expression(&mut self, it: &NewExpression<'a>) {
        match &it.arguments[..] {
            [
                Argument::StringLiteral(url),
                Argument::StaticMemberExpression(base),
            ] if it.callee.is_specific_id("URL")
                && base.property.name == "url"
                && matches!(base.object, Expression::ImportMeta(_)) =>
            {
                self.certain(url);
            }
            _ => walk::walk_new_expression(self, it),
        }
    }

    fn visit_string_literal(&mut self, it: &StringLiteral<'a>) {
        self.string(it.span, &it.value);
    }

    fn visit_template_literal(&mut self, it: &TemplateLiteral<'a>) {
        match it.single_quasi() {
            Some(value) => self.string(it.span, &value),
            None => walk::walk_template_literal(self, it),
        }
    }
}

/// Returns the span without its quotes.
fn inner(span: Span) -> Range<usize> {
    span.start as usize + 1..span.end as usize - 1
}
