//! Every way in which one token of the rulebook is broken on purpose.

use std::{collections::HashMap, ops::Range};

use callgate::rulebook::DEFINITIONS;
use full_moon::{
    ast::{
        Expression, FunctionBody, FunctionCall, FunctionDeclaration, LocalFunction, Return, UnOp,
    },
    node::Node,
    tokenizer::TokenReference,
    visitors::Visitor,
};

/// The rulebook with one token broken.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// `consent.lua`
    pub file: &'static str,
    /// The function in which the token stands; `-` outside of all.
    pub function: String,
    /// Where it stands in its file, from 1.
    pub place: (usize, usize),
    /// Its line, as it is written.
    pub line: String,
    /// What stands there,
    pub from: String,
    /// and what is put in its place.
    pub to: String,
    /// Which of the equal tokens in equal lines of the function it is, from 1.
    pub nth: usize,
    /// Where it stands in the whole text.
    range: Range<usize>,
}

/// What a mutant is known by, whatever is written above or below its line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub file: String,
    pub function: String,
    pub line: String,
    /// `"<" -> "<="`, and `#2` where it is the second such token.
    pub change: String,
}

impl Mutant {
    pub fn key(&self) -> Key {
        let nth = if self.nth == 1 { String::new() } else { format!(" #{}", self.nth) };
        Key {
            file: self.file.to_owned(),
            function: self.function.clone(),
            line: self.line.clone(),
            change: format!("{:?} -> {:?}{nth}", self.from, self.to),
        }
    }

    /// `consent.lua:59:10 "<" -> "<=" in newest_ending`
    pub fn name(&self) -> String {
        let ((line, column), function) = (self.place, &self.function);
        format!("{}:{line}:{column} {:?} -> {:?} in {function}", self.file, self.from, self.to)
    }

    /// The broken rulebook.
    pub fn text(&self) -> String {
        [&DEFINITIONS[..self.range.start], &self.to, &DEFINITIONS[self.range.end..]].concat()
    }
}

/// The files of the rulebook, in their order.
const FILES: [&str; 13] = [
    "codes.lua",
    "rows.lua",
    "facts.lua",
    "identity.lua",
    "streak.lua",
    "consent.lua",
    "quotas.lua",
    "number.lua",
    "judge.lua",
    "changes.lua",
    "fold.lua",
    "merge.lua",
    "rulebook.lua",
];

/// All mutants, in the order of the text.
pub fn all() -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for file in FILES {
        let (start, end) = bounds(file);
        of_file(file, start, &DEFINITIONS[start..end], &mut mutants);
    }
    mutants
}

fn of_file(file: &'static str, offset: usize, text: &str, into: &mut Vec<Mutant>) {
    let ast = full_moon::parse(text).expect("the rulebook is Lua");
    let mut finder = Finder::default();
    finder.visit_ast(&ast);
    finder.sites.sort_by_key(|site| (site.range.start, site.range.end));
    let mut seen = HashMap::new();
    for site in finder.sites {
        let before = &text[..site.range.start];
        let (line_start, line) =
            (before.rfind('\n').map_or(0, |n| n + 1), before.matches('\n').count());
        let place = (line + 1, site.range.start - line_start + 1);
        let line = text[line_start..].lines().next().unwrap_or_default().trim().to_owned();
        let from = words(&text[site.range.clone()]);
        let nth = seen.entry((site.function.clone(), line.clone(), from.clone())).or_insert(0);
        *nth += 1;
        into.extend(site.to.into_iter().map(|to| Mutant {
            file,
            function: site.function.clone(),
            place,
            line: line.clone(),
            from: from.clone(),
            to,
            nth: *nth,
            range: offset + site.range.start..offset + site.range.end,
        }));
    }
}

/// The same on one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Site {
    function: String,
    range: Range<usize>,
    to: Vec<String>,
}

/// The rulebook with a mark in every function, so that it can say which of them were called:
/// `linked(host, "called", "")` lists them, as `consent.lua in_effect`, and forgets them.
pub fn marked() -> String {
    let mut text = "local called = {}\n".to_owned();
    let mut rest = 0;
    for file in FILES {
        let (start, end) = bounds(file);
        let ast = full_moon::parse(&DEFINITIONS[start..end]).expect("the rulebook is Lua");
        let mut finder = Finder::default();
        finder.visit_ast(&ast);
        finder.bodies.sort_unstable();
        for (at, function) in finder.bodies {
            text += &DEFINITIONS[rest..start + at];
            text += &format!(" called[{:?}] = true ", format!("{file} {function}"));
            rest = start + at;
        }
    }
    text += &DEFINITIONS[rest..];
    text + "local linked = rulebook.linked
            function rulebook.linked(host, wa, user)
              if wa ~= \"called\" then return linked(host, wa, user) end
              local list = {}
              for name in pairs(called) do list[#list + 1] = name end
              for _, name in ipairs(list) do called[name] = nil end
              return list
            end\n"
}

/// Where a file begins and ends in the whole text.
fn bounds(file: &str) -> (usize, usize) {
    let head = format!("local {} = (function()\n", file.trim_end_matches(".lua"));
    let start = DEFINITIONS.find(&head).expect("every file is a local") + head.len();
    let end = start + DEFINITIONS[start..].find("\nend)()\n").expect("its end") + 1;
    (start, end)
}

#[derive(Default)]
struct Finder {
    /// Where the body of each function begins.
    bodies: Vec<(usize, String)>,
    functions: Vec<String>,
    sites: Vec<Site>,
}

impl Finder {
    fn add(&mut self, node: &impl Node, to: Vec<String>) {
        let (start, end) = node.range().expect("it was read from a text");
        let function = self.functions.last().map_or_else(|| "-".to_owned(), Clone::clone);
        self.sites.push(Site { function, range: start.bytes()..end.bytes(), to });
    }

    fn token(&mut self, token: &TokenReference, to: &[&str]) {
        self.add(token, to.iter().map(|&to| to.to_owned()).collect());
    }
}

fn shown(node: &impl Node) -> String {
    node.tokens().map(|token| token.token().to_string()).collect()
}

/// Whether two of these may come in an order that matters: not texts, nor what is one of a few codes,
/// nor 0, than which nothing is less.
fn is_ordered(side: &Expression) -> bool {
    let shown = shown(side);
    let last = shown.rsplit('.').next().unwrap_or_default();
    let is_code = last.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    !is_code && !matches!(side, Expression::String(_) | Expression::Symbol(_))
}

fn is_yes_or_no(expression: &Expression) -> bool {
    match expression {
        Expression::BinaryOperator { binop, .. } => {
            let sign = binop.token().token().to_string();
            ["<", "<=", ">", ">=", "==", "~=", "and", "or"].contains(&sign.as_str())
        }
        Expression::UnaryOperator { unop: UnOp::Not(_), .. } => true,
        Expression::Parentheses { expression, .. } => is_yes_or_no(expression),
        _ => false,
    }
}

impl Visitor for Finder {
    fn visit_local_function(&mut self, function: &LocalFunction) {
        self.functions.push(shown(function.name()));
    }

    fn visit_local_function_end(&mut self, _: &LocalFunction) {
        self.functions.pop();
    }

    fn visit_function_declaration(&mut self, function: &FunctionDeclaration) {
        self.functions.push(shown(function.name()));
    }

    fn visit_function_declaration_end(&mut self, _: &FunctionDeclaration) {
        self.functions.pop();
    }

    fn visit_function_body(&mut self, body: &FunctionBody) {
        let function = self.functions.last().map_or_else(|| "-".to_owned(), Clone::clone);
        let (_, end) = body.parameters_parentheses().range().expect("it was read from a text");
        self.bodies.push((end.bytes(), function));
    }

    fn visit_expression(&mut self, expression: &Expression) {
        match expression {
            Expression::BinaryOperator { lhs, binop, rhs } => {
                let sign = binop.token().token().to_string();
                let are_ordered = is_ordered(lhs) && is_ordered(rhs);
                let to: &[&str] = match sign.as_str() {
                    "<" => &["<=", ">="],
                    "<=" => &["<", ">"],
                    ">" => &[">=", "<="],
                    ">=" => &[">", "<"],
                    "==" if are_ordered => &["~=", "<=", ">="],
                    "~=" if are_ordered => &["==", "<", ">"],
                    "==" => &["~="],
                    "~=" => &["=="],
                    "and" => &["or"],
                    "or" => &["and"],
                    "+" => &["-"],
                    "-" => &["+"],
                    "*" => &["/"],
                    "/" => &["*"],
                    _ => &[],
                };
                self.token(binop.token(), to);
            }
            Expression::UnaryOperator { unop: UnOp::Not(not), .. } => self.token(not, &[""]),
            Expression::Number(number) => {
                let n: i64 = shown(number).parse().expect("the rulebook has whole numbers");
                let mut to = vec![(n - 1).to_string(), (n + 1).to_string()];
                if n > 1 {
                    to.push("0".to_owned());
                }
                self.add(number, to);
            }
            Expression::Symbol(symbol) => match shown(symbol).as_str() {
                "true" => self.token(symbol, &["false"]),
                "false" | "nil" => self.token(symbol, &["true"]),
                _ => {}
            },
            _ => {}
        }
    }

    fn visit_function_call(&mut self, call: &FunctionCall) {
        let tokens: Vec<_> = call.tokens().take(3).collect();
        if let [math, _, name] = tokens[..]
            && shown(math) == "math"
        {
            match shown(name).as_str() {
                "min" => self.token(name, &["max"]),
                "max" => self.token(name, &["min"]),
                _ => {}
            }
        }
    }

    fn visit_return(&mut self, returned: &Return) {
        if self.functions.is_empty() {
            return;
        }
        for value in returned.returns() {
            if matches!(value, Expression::Number(_) | Expression::Symbol(_)) {
                continue;
            }
            let mut to = vec!["nil".to_owned()];
            if is_yes_or_no(value) {
                to.push(format!("not ({})", value.to_string().trim()));
            }
            self.add(value, to);
        }
    }
}
