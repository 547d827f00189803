//! The text of `-help`.

use crate::flags::{FLAGS, Form};

/// The usage text, with all flags.
pub(crate) fn text() -> String {
    let mut text =
        "Usage: consul-template [options]\n\n  Renders templates when data in Consul or in \
                    files changes.\n\nOptions:\n"
            .to_owned();
    for flag in FLAGS.iter().filter(|flag| flag.name != "v") {
        let value = match flag.form {
            Form::Bool | Form::Dry | Form::Version => "",
            Form::Int => " <number>",
            Form::Duration => " <duration>",
            Form::Signal => " <signal>",
            Form::Command => " <command>",
            Form::Config => " <path>",
            Form::Template => " <in:out:command>",
            Form::Wait => " <min[:max]>",
            Form::Auth => " <user[:password]>",
            Form::Text | Form::Element | Form::Ignored => " <text>",
        };
        text.push_str(&format!("\n  -{}{value}\n", flag.name));
        if !flag.help.is_empty() {
            text.push_str(&format!("      {}\n", flag.help));
        }
    }
    text
}
