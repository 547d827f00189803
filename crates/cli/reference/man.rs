//! The manual page `confd.1`.

use std::fmt::Write as _;

use options::{Kind, Proposed, Spec};

use super::{placeholder, sections};
use crate::{
    commands::{COMMANDS, Command},
    flags::PROGRAMS,
};

const HEAD: &str = r#".\" Made from the program's tables of options and commands.
.TH CONFD 1 "" confd "User Commands"
.SH NAME
confd \- keep configuration files equal to a store of keys
.SH SYNOPSIS
.SY confd
.RI [ flags ]
.RB [ \-\-
.IR program " ...]"
.YS
.SY confd
.I backend
.RI [ flags ]
.YS
.SY confd
.I command
.RI [ names ]
.RI [ flags ]
.YS
.SH DESCRIPTION
confd reads keys from a store, renders templates, checks the results, replaces the files atomically and reloads
the services that use them. The store is etcd, Consul, Redis, ZooKeeper, Vault, AWS, YAML or JSON files, or the environment.
.PP
Each file
.I *.toml
below
.I /etc/confd/conf.d
is a resource: it names the keys, the template in
.I /etc/confd/templates
and the destination.
With
.BR \-onetime ,
each resource is processed once. With
.BR \-watch ,
resources are processed when keys or files change. Otherwise all are processed every
.B \-interval
seconds.
.PP
A command line that begins with the name of a
.I backend
is that of confd's live fork, with some meanings of its own.
.PP
Behind
.B \-\-
stands a
.IR program ,
which confd starts and supervises when everything is applied.
.SH COMMANDS
A command is the first word. The names stand behind it, and then its options and those below. With
.B \-h
a command shows its options. A
.I RESOURCE
is the name of a resource file, such as
.B nginx
or
.BR web/site ,
or its path.
"#;

const OPTIONS: &str = r#".SH OPTIONS
.BI \-flag
and
.BI \-\-flag
mean the same. A value is written
.B \-flag value
or
.BR \-flag=value ;
a switch takes a value only behind
.BR = .
Durations have a unit, such as
.B 500ms
or
.BR 1m30s .
An option of one backend is accepted with every backend.
"#;

const ENVIRONMENT: &str = r#".SH ENVIRONMENT
The variable of an option is
.B CONFD_
and the flag in upper case, with
.B _
for
.BR \- ,
such as
.BR CONFD_LOG_LEVEL .
A flag wins over the variable, the variable over confd.toml. The elements of a list stand between commas.
A secret can also be in a file, which the variable with
.B _FILE
at its end names, such as
.BR CONFD_PASSWORD_FILE .
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC
systemd sets them for services. confd reports to systemd when everything is applied, and that there is progress.
.TP
.B RUNTIME_DIRECTORY
The folder of the control socket, if
.B \-control\-socket
does not say it.
.TP
.BR STATE_DIRECTORY ", " XDG_STATE_HOME
The state folder, if
.B \-state\-dir
does not say it.
.TP
.B NO_COLOR
Diffs have no colours.
.TP
.B TZ
The zone of the times in the log.
.SH FILES
.TP
.I /etc/confd/confd.toml
The configuration: the keys of the options.
.TP
.I /etc/confd/conf.d/
The resource files.
.TP
.I /etc/confd/templates/
The templates.
.TP
.I /var/lib/confd
The state folder of root: the kept versions of files.
.SH EXIT STATUS
.TP
.B 0
Every resource succeeded; or SIGTERM or SIGINT ended the interval or watch mode.
.TP
.B 1
A resource failed with
.BR \-onetime ,
or the configuration cannot be used.
.TP
.B 2
The command line has an error; or, with
.BR "\-onetime \-noop \-detailed\-exitcode" ,
a file would change.
.TP
.BR 3 ", " 4 ", " 5
Only with
.BR "\-onetime \-exit\-codes" :
data is missing, a check failed, a reload failed or is pending.
.TP
.B 80
The command line of the live fork has an error. With that command line and
.BR \-onetime ,
the status can also be that of a check or reload command that failed.
.TP
.BR 129 ", " 130 ", " 143
SIGHUP, SIGINT or SIGTERM ended a run with
.BR \-onetime ,
or a second signal ended another one.
.PP
.B confd status
has 1 if confd is not ready, and 2 if it cannot be asked.
.B confd plan
has 2 if a file would change, and 4 if the change would be refused.
.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
No new pass begins, running ones end within
.BR \-shutdown\-timeout ,
and confd ends. A second signal ends it within a second. With
.BR \-onetime ,
the run ends within a second; each file is the old one or the new one.
.TP
.B SIGHUP
The configuration, the resource files and the templates are read again. What is malformed stays as it was.
With
.BR \-onetime ,
the run ends.
.TP
.BR SIGUSR1 ", " SIGUSR2
They are passed on to the program behind
.BR \-\- .
.SH SEE ALSO
The documents in
.IR /usr/share/doc/confd :
README.md, and in docs command-line.md, resources.md, templates.md and operations.md.
"#;

/// A text as roff shows it: each dash is one that can be copied to a command line.
fn escaped(text: &str) -> String {
    let text =
        text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...").replace('"', "\\(dq");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// The page.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    COMMANDS.iter().for_each(|command| page += &of_command(command));
    for program in PROGRAMS {
        let _ = write!(
            page,
            ".TP\n.B {}\nanother program of this binary; \\-h shows its flags\n",
            escaped(program)
        );
    }
    page += OPTIONS;
    for (title, options) in sections() {
        let _ = writeln!(page, ".SS {}", escaped(&title));
        options.into_iter().for_each(|option| page += &of_option(option));
    }
    page + ENVIRONMENT
}

fn of_command(command: &Command) -> String {
    let mut text = format!(".TP\n.B {}\n{}\n", escaped(&command.synopsis()), escaped(command.help));
    if command.options.is_empty() {
        return text;
    }
    text += ".RS\n";
    for option in command.options {
        let (name, help) = (escaped(option.name), escaped(option.help));
        let _ = match option.value {
            "" => write!(text, ".TP\n.B \\-{name}\n{help}\n"),
            value => write!(text, ".TP\n.BI \"\\-{name} \" {}\n{help}\n", escaped(value)),
        };
    }
    text + ".RE\n"
}

fn of_option(option: &Spec) -> String {
    let (name, help) = (escaped(option.name), escaped(option.help));
    let mut text = match placeholder(option) {
        Some(word) => format!(".TP\n.BI \"\\-{name} \" {word}\n{help}"),
        None => format!(".TP\n.B \\-{name}\n{help}"),
    };
    if let Proposed::Words(words) = option.proposed {
        let missing = words.iter().any(|word| !option.help.contains(word));
        if missing {
            let _ = write!(text, " ({})", escaped(&words.join(", ")));
        }
    }
    let default = match option.kind {
        Kind::Number(number) => number.to_string(),
        Kind::Text(text) => text.to_owned(),
        Kind::Switch | Kind::List => String::new(),
    };
    if !default.is_empty() {
        let _ = write!(text, ". Default: {}", escaped(&default));
    }
    if let Some(key) = option.key {
        let _ = write!(text, ". In confd.toml: {}", escaped(key));
    }
    text + "\n"
}
