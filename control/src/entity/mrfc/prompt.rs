//! Announcements as the gateway is told of them: announcement syntax of `aasb/an` (H.248.9 6).

/// A URL or the name of a prompt, in a language, with values to be put into it.
pub fn announcement(name: &str, locale: &str, variables: &[String]) -> String {
    let mut text = clean(name);
    if !locale.is_empty() {
        text.push_str(&format!(";locale={}", clean(locale)));
    }
    for variable in variables {
        text.push_str(&format!(";vb={}", clean(variable)));
    }
    text
}

/// What may stand in a quoted string (H.248.1 B.2).
fn clean(text: &str) -> String {
    let fits = |letter: &char| matches!(letter, ' '..='~') && *letter != '"';
    text.chars().filter(fits).collect()
}
