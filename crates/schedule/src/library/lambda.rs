//! Lambdas of Python as expressions of ours.

/// The text of a lambda, or of an expression, as an expression.
pub(super) fn expression(text: &str) -> Result<String, String> {
    let Some(rest) = text.trim_start().strip_prefix("lambda ") else { return Ok(text.to_owned()) };
    let Some((parameter, body)) = rest.split_once(':') else {
        return Err("expected `lambda t: ...`, found no `:`".to_owned());
    };
    let parameter = parameter.trim();
    if parameter.is_empty() || !parameter.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err("expected a lambda of one parameter, the step".to_owned());
    }
    rewrite(body, parameter, &|_| None)
}

/// Modules whose functions an expression knows.
const MATH: [&str; 7] = ["math", "np", "numpy", "torch", "jnp", "jax.numpy", "tf.math"];

/// Names that an expression knows and a lambda does not.
const OURS: [&str; 4] = ["t", "T", "epoch", "base"];

/// A lambda's body as an expression: its parameter is `t`, modules are left out, variables are put in as
/// `stands_for` has them. Characters stay where they are, so that mistakes are told by their place.
pub(super) fn rewrite(
    body: &str,
    parameter: &str,
    stands_for: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        let word = |keep: fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let name = first.is_alphabetic() || first == '_';
        let length = if name {
            word(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        } else if first.is_ascii_digit() {
            word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        } else {
            first.len_utf8()
        };
        let (head, tail) = rest.split_at(length);
        let plain = match MATH.iter().find_map(|math| head.strip_prefix(math)?.strip_prefix('.')) {
            Some(function) => function.to_owned(),
            None if head == parameter => "t".to_owned(),
            None if head == "True" => "1".to_owned(),
            None if head == "False" => "0".to_owned(),
            None if matches!(first, '\n' | '\r' | '\\') => " ".to_owned(),
            None if name => match stands_for(head) {
                Some(value) => value,
                None if OURS.contains(&head) => {
                    return Err(format!(
                        "`{head}` is a variable of the program: write its value into the lambda"
                    ));
                }
                None => head.to_owned(),
            },
            None => head.replace('_', ""),
        };
        text.push_str(&plain);
        text.extend(std::iter::repeat_n(' ', head.chars().count().saturating_sub(plain.chars().count())));
        rest = tail;
    }
    Ok(text)
}
