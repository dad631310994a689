//! Words to nodes: `name word word;` or `name word { ... }`.

use std::sync::Arc;

use super::{
    ConfError, Span,
    lexer::{END_OF_FILE, Token, words},
};

#[derive(Clone, Debug)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: Word,
    pub words: Vec<Word>,
    /// What stands between the braces, if there are any.
    pub block: Option<Vec<Node>>,
}

pub fn parse(text: &str, file: &Arc<str>) -> Result<Vec<Node>, ConfError> {
    let (tokens, end) = words(text, file)?;
    let mut parser = Parser { tokens: tokens.into_iter(), end };
    parser.block(Depth::File)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    File,
    Block,
}

struct Parser {
    tokens: std::vec::IntoIter<(Token, Span)>,
    end: Span,
}

impl Parser {
    fn block(&mut self, depth: Depth) -> Result<Vec<Node>, ConfError> {
        let mut nodes = Vec::new();
        loop {
            match self.tokens.next() {
                None if depth == Depth::File => return Ok(nodes),
                None => {
                    return Err(self.end.error("unexpected end of file, expecting \"}\""));
                }
                Some((Token::Close, _)) if depth == Depth::Block => return Ok(nodes),
                Some((Token::Close, span)) => return Err(span.error("unexpected \"}\"")),
                Some((Token::Open, span)) => return Err(span.error("unexpected \"{\"")),
                Some((Token::Semicolon, span)) => return Err(span.error("unexpected \";\"")),
                Some((Token::Word(text), span)) => nodes.push(self.node(Word { text, span })?),
            }
        }
    }

    fn node(&mut self, name: Word) -> Result<Node, ConfError> {
        let mut words = Vec::new();
        loop {
            match self.tokens.next() {
                None => return Err(self.end.error(END_OF_FILE)),
                Some((Token::Word(text), span)) => words.push(Word { text, span }),
                Some((Token::Semicolon, _)) => return Ok(Node { name, words, block: None }),
                Some((Token::Open, _)) => {
                    let block = Some(self.block(Depth::Block)?);
                    return Ok(Node { name, words, block });
                }
                Some((Token::Close, span)) => return Err(span.error("unexpected \"}\"")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(nodes: &[Node]) -> String {
        let node = |node: &Node| {
            let words = node.words.iter().map(|word| format!(" {}", word.text));
            let block =
                node.block.as_ref().map_or(";".into(), |inner| format!("{{{}}}", draw(inner)));
            format!("{}{}{block}", node.name.text, words.collect::<String>())
        };
        nodes.iter().map(node).collect()
    }

    #[test]
    fn blocks_nest() {
        let nodes = parse("a; b c { d e; f { } } g;", &"f".into()).unwrap();
        assert_eq!(draw(&nodes), "a;b c{d e;f{}}g;");
    }

    #[test]
    fn slips_are_told_as_nginx_tells_them() {
        let refuse = |text: &str, expected: &str| {
            assert_eq!(parse(text, &"f".into()).unwrap_err().to_string(), expected);
        };
        refuse("a;\n}", "unexpected \"}\" in f:2");
        refuse("{", "unexpected \"{\" in f:1");
        refuse(";", "unexpected \";\" in f:1");
        refuse("a { b", "unexpected end of file, expecting \";\" or \"}\" in f:1");
        refuse("a {\n b;\n", "unexpected end of file, expecting \"}\" in f:3");
        refuse("a { b }", "unexpected \"}\" in f:1");
    }
}
