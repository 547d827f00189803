//! The keys of the table `[template]`.

use std::time::Duration;

use options::factor::Factor;
use regexp::Expression;

use super::{Count, Id, Key, NameOrNumber, Need, Spec, Text, TextOrTexts, Texts};
use crate::{
    after::OnReloadFailure,
    commands::Command,
    engine::Engine,
    guards::{OutputFormat, Percentage},
    missing::OnMissing,
    permissions::Mode,
};

/// Declares keys, and the list of their descriptions.
macro_rules! keys {
    (
        $(#[$meta:meta])* $list:ident;
        $( $key:ident: $type:ty = ($name:literal, $help:literal) $(.$more:ident($($argument:expr)?))*; )*
    ) => {
        $(
            #[doc = $help]
            pub(crate) static $key: Key<$type> = Key::<$type>::new($name, $help)$(.$more($($argument)?))*;
        )*
        $(#[$meta])*
        pub static $list: &[&Spec] = &[$(&$key.spec),*];
    };
}

keys! {
    /// The keys of the table `[template]`, in the order in which people write them.
    TEMPLATE_KEYS;

    SRC: Text = ("src", "The template, below the folder templates of the configuration folder.").required();
    ENGINE: Engine = ("engine", "The language of the template.")
        .otherwise("tera if the name of src ends in .tera, otherwise go");
    DEST: Text = (
        "dest",
        "The file to write. Its folder must exist, unless make_directories is true. It can use variables, such \
         as {{getenv \"NAME\"}}. With for_each it is a template that has {{.name}}, {{.key}} and {{.names}}."
    ).required();
    KEYS: Texts = (
        "keys",
        "The keys to read, each with everything below it. They can use variables, such as {{getenv \"NAME\"}}."
    );
    BACKEND: TextOrTexts = (
        "backend",
        "The backends that are asked, by their names, the most important first. Their keys stand at /, whatever \
         their mounts are."
    ) .otherwise("those of the run");
    PREFIX: Text = (
        "prefix",
        "It is put in front of every key. The option -prefix replaces it. It can use variables, such as \
         {{getenv \"NAME\"}}."
    );
    EXPAND_ENV: bool = (
        "expand_env",
        "Whether ${NAME} and ${NAME:-default} in all texts of the table are variables of the environment. A \
         dollar is then written $$."
    ).or(false);
    MODE: Mode = (
        "mode",
        "The permissions of the file, such as \"0644\". Without the leading zero the number is decimal."
    ).otherwise("the mode of the existing file, or 0644");
    UID: Id = ("uid", "The owner of the file, as a number. -1 is the user of confd.")
        .otherwise("the user of confd");
    GID: Id = ("gid", "The group of the file, as a number. -1 is the group of confd.")
        .otherwise("the group of confd");
    IGNORE_LINES: Expression = (
        "ignore_lines",
        "A regular expression in Go's syntax. Lines that match do not count when the file is compared with its \
         new content."
    );
    OWNER: NameOrNumber<'_> = (
        "owner",
        "The owner of the file, as a name of /etc/passwd or a number. It cannot be set together with uid."
    ).otherwise("the user of confd").in_fork("uid wins if both are set");
    GROUP_OWNER: NameOrNumber<'_> = (
        "group_owner",
        "The group of the file, as a name of /etc/group or a number. It cannot be set together with gid."
    ).otherwise("the group of confd").in_fork("gid wins if both are set");
    PRESERVE: bool = ("preserve", "Whether an existing file keeps its own mode and owner.").or(false);
    MAKE_DIRECTORIES: bool = ("make_directories", "Whether missing folders of dest are created.").or(false);
    DIR_MODE: Mode = ("dir_mode", "The mode of the folders that make_directories creates.")
        .or_text("0755");
    CHECK_CMD: Command = (
        "check_cmd",
        "The command that must succeed before the file is replaced. It is a template: {{.src}} is the new file. \
         A list runs without a shell."
    );
    RELOAD_CMD: Command = (
        "reload_cmd",
        "The command that runs after the file was replaced. A list runs without a shell."
    );
    START_CMD: Command = (
        "start_cmd",
        "The command that runs in place of reload_cmd after a file was created that did not exist before."
    );
    RELOAD_TEMPLATE: bool = (
        "reload_template",
        "Whether reload_cmd and start_cmd are templates too: {{.dest}} is the file."
    ).or(false).in_fork("the default is true");
    CHECK_TIMEOUT: Duration = ("check_timeout", "How long check_cmd may take. \"0\" is without a limit.")
        .otherwise("that of -check-cmd-timeout");
    CHECK_CMD_TIMEOUT: Duration = ("check_cmd_timeout", "The live fork's name for check_timeout.")
        .otherwise("that of -check-cmd-timeout");
    RELOAD_TIMEOUT: Duration = (
        "reload_timeout",
        "How long reload_cmd or start_cmd may take. \"0\" is without a limit."
    ).otherwise("that of -reload-cmd-timeout");
    RELOAD_CMD_TIMEOUT: Duration = ("reload_cmd_timeout", "The live fork's name for reload_timeout.")
        .otherwise("that of -reload-cmd-timeout");
    RENDER_TIMEOUT: Duration = (
        "render_timeout",
        "How long rendering the template may take. \"0\" is without a limit."
    ).otherwise("that of -render-timeout");
    AFTER: Texts = (
        "after",
        "The names of the resources and groups that are processed before this one."
    );
    HEAL: bool = (
        "heal",
        "Whether confd restores the file after another program changed it. If not, a daemon leaves the file \
         alone until the content that the template gives changes."
    ).or(true);
    REQUIRED: bool = ("required", "Whether confd is ready only when this resource is applied.").or(true);
    DEBOUNCE: Duration = (
        "debounce",
        "Watch mode: before a pass, wait until nothing has changed for this time."
    ).otherwise("that of -debounce");
    MIN_RELOAD_INTERVAL: Duration = (
        "min_reload_interval",
        "Watch mode: the least time between two passes that reload."
    );
    RETRY_DELAY: Duration = (
        "retry_delay",
        "Watch mode: the first delay before a failed pass is tried again."
    ).otherwise("that of -retry-delay");
    RETRY_MAX_DELAY: Duration = (
        "retry_max_delay",
        "Watch mode: the longest delay before a failed pass is tried again."
    ).otherwise("that of -retry-max-delay");
    RETRY_FACTOR: Factor = (
        "retry_factor",
        "Watch mode: by what each delay before a retry is longer than the one before, such as \"1.5\": a number \
         from 1 to 1000."
    ).otherwise("that of -retry-factor");
    ON_MISSING: OnMissing = (
        "on_missing",
        "What is done if the template asks for a key that does not exist: the pass fails (error), the key reads \
         as the empty text (empty), or the file stays as it is until a key changes (keep)."
    ).or_text("error");
    FOR_EACH: Text = (
        "for_each",
        "One file for each path that this pattern finds among the keys, such as \"/tenants/*\". dest must depend \
         on the item."
    );
    FOR_EACH_SERVICE: Text = (
        "for_each_service",
        "One file for each service of Consul whose name matches this pattern. dest must depend on the item."
    );
    REMOVE_CMD: Command = (
        "remove_cmd",
        "With for_each: the command that runs instead of reload_cmd after files were removed."
    ).otherwise("that of reload_cmd");
    GROUP: Text = (
        "group",
        "The group whose files are put in place together with this one."
    ).in_fork("the group that owns the file, as a name or digits");
    GROUP_CHECK_CMD: Command = (
        "group_check_cmd",
        "The command that must succeed before a file of the group is replaced. It is a template: {{.root}} is a \
         folder where all new files stand under their paths."
    );
    GROUP_CHECK_TIMEOUT: Duration = (
        "group_check_timeout",
        "How long group_check_cmd may take. \"0\" is without a limit."
    ).otherwise("that of -check-cmd-timeout");
    REQUIRED_KEYS: Texts = (
        "required_keys",
        "Guard: each of these keys must exist, or have keys below it. They are written as in the template, \
         without the prefix."
    );
    MIN_KEYS: Count = ("min_keys", "Guard: the least number of keys that the resource sees.").or(0);
    MAX_SHRINK: Percentage = (
        "max_shrink",
        "Guard: by how much the keys and the bytes may be fewer than those that were applied last, such as \
         \"50%\"."
    ).or_text("100%");
    MIN_BYTES: Count = ("min_bytes", "Guard: the least size of the file, in bytes.").or(0);
    OUTPUT_FORMAT: OutputFormat = ("output_format", "Guard: the syntax that the file must have.");
    ON_RELOAD_FAILURE: OnReloadFailure = (
        "on_reload_failure",
        "What is done if the reload fails: the new file stays and the reload is tried again (keep), or the \
         former file is put back (rollback)."
    ).or_text("keep");
    HEALTH_CMD: Command = (
        "health_cmd",
        "The command that must succeed after reload_cmd, so that the reload has succeeded."
    );
    HEALTH_TIMEOUT: Duration = (
        "health_timeout",
        "How long one run of health_cmd may take. \"0\" is without a limit of its own."
    ).or(Duration::ZERO);
    HEALTH_WINDOW: Duration = ("health_window", "How long health_cmd is tried until it succeeds.")
        .or(Duration::from_secs(10));
    HEALTH_INTERVAL: Duration = ("health_interval", "The time between two tries of health_cmd.")
        .or(Duration::from_secs(1));
    BACKUP: Count = (
        "backup",
        "How many versions of the file are kept besides the one in place. It cannot be used with for_each."
    ).or(0);
    FILEMODE: i64 = ("filemode", "It has no effect. Go confd accepts it, because a field inside it is called so.")
        .unused();
    STAGEFILE: Texts = (
        "stagefile",
        "It has no effect. Go confd accepts it, because a field inside it is called so."
    ).unused();
}

/// The keys that have no effect without others.
pub(super) static TEMPLATE_NEEDS: &[Need] = &[
    Need { key: &DIR_MODE.spec, of: &[&MAKE_DIRECTORIES.spec] },
    Need { key: &ON_RELOAD_FAILURE.spec, of: &[&RELOAD_CMD.spec] },
    Need { key: &HEALTH_CMD.spec, of: &[&RELOAD_CMD.spec, &START_CMD.spec] },
    Need { key: &REMOVE_CMD.spec, of: &[&FOR_EACH.spec, &FOR_EACH_SERVICE.spec] },
];

/// Pairs of keys that cannot be set together. `uid` and `owner` are none: the live fork allows both.
pub(super) static TEMPLATE_EXCLUDES: &[[&Spec; 2]] = &[
    [&FOR_EACH.spec, &FOR_EACH_SERVICE.spec],
    [&FOR_EACH.spec, &BACKUP.spec],
    [&FOR_EACH_SERVICE.spec, &BACKUP.spec],
];
