//! The metrics that exist: names, labels and meanings.
//!
//! The first part has the names of abtreece's confd, so that dashboards and alerts that ask for them work.
//! `docs/observe.md` has the same list; a test compares both with the page.

use super::counts::{Family, Kind};

/// Declares families and the list of all.
macro_rules! families {
    ($( $name:ident = $kind:ident $metric:literal [$($label:literal),*] $help:literal; )*) => {
        $( pub(crate) const $name: Family = Family {
            name: $metric, kind: Kind::$kind, labels: &[$($label),*], help: $help,
        }; )*
        /// All families, in the order of the page.
        pub(crate) const ALL: &[&Family] = &[$(&$name),*];
    };
}

families! {
    BACKEND_DURATION = Histogram "confd_backend_request_duration_seconds" ["backend", "operation"]
        "Duration of requests to the backend. watch_prefix includes the time of waiting for a change.";
    BACKEND_TOTAL = Counter "confd_backend_request_total" ["backend", "operation"]
        "Requests to the backend.";
    BACKEND_ERRORS = Counter "confd_backend_errors_total" ["backend", "operation"]
        "Requests to the backend that failed.";
    BACKEND_HEALTHY = Gauge "confd_backend_healthy" ["backend"]
        "Whether the last request to the backend succeeded.";
    TEMPLATE_DURATION = Histogram "confd_template_process_duration_seconds" ["dest"]
        "Duration of the passes that succeeded.";
    TEMPLATE_TOTAL = Counter "confd_template_process_total" ["dest", "status"]
        "Passes by their result, success or error.";
    CACHE_HITS = Counter "confd_template_cache_hits_total" []
        "Templates that were not compiled again, because their files were unchanged.";
    CACHE_MISSES = Counter "confd_template_cache_misses_total" []
        "Templates that were compiled.";
    STAT_CACHE_HITS = Counter "confd_template_stat_cache_hits_total" []
        "Always 0: the files of a template are examined in each pass.";
    TEMPLATES_LOADED = Gauge "confd_templates_loaded" []
        "Resource files in use.";
    WATCHED_KEYS = Gauge "confd_watched_keys" []
        "Keys and prefixes that the resources ask for in watch mode, and 0 in interval mode.";
    BATCH_TOTAL = Counter "confd_batch_process_total" []
        "Passes over all resources in interval mode.";
    BATCH_FAILED = Counter "confd_batch_process_failed_total" []
        "Passes over all resources in which a resource failed.";
    BATCH_SUCCEEDED_TEMPLATES = Counter "confd_batch_templates_succeeded_total" []
        "Resources that succeeded in passes over all resources.";
    BATCH_FAILED_TEMPLATES = Counter "confd_batch_templates_failed_total" []
        "Resources that failed in passes over all resources.";
    COMMAND_DURATION = Histogram "confd_command_duration_seconds" ["type", "dest"]
        "Duration of commands by their type: check, reload or health.";
    COMMAND_TOTAL = Counter "confd_command_total" ["type", "dest"]
        "Commands that have ended.";
    COMMAND_EXIT_CODES = Counter "confd_command_exit_code_total" ["type", "exit_code"]
        "Commands by exit code: 128 and the number of a signal that ended it, timeout, or not_started.";
    FILE_SYNC = Counter "confd_file_sync_total" ["dest"]
        "Files that were put in place.";
    FILE_CHANGED = Counter "confd_file_changed_total" []
        "Files that were put in place, of all resources.";
    STAGE_FILE_ERRORS = Counter "confd_stage_file_cleanup_errors_total" []
        "Always 0: a stage file that stays is removed by the next start.";

    READY = Gauge "confd_ready" []
        "Whether each required resource has applied its newest data, as /ready says.";
    LOAD_PROBLEMS = Gauge "confd_load_problems" []
        "Resource files that cannot be used.";
    STATE = Gauge "confd_resource_state" ["resource", "state"]
        "1 for the state of the resource, and 0 for the other states.";
    REVISION = Gauge "confd_resource_applied_revision" ["resource"]
        "Revision of the keys in the last pass that succeeded; 0 if the backend has none.";
    LAST_APPLIED = Gauge "confd_resource_last_applied_timestamp_seconds" ["resource"]
        "Time of the last pass that succeeded.";
    LAG = Gauge "confd_resource_lag_seconds" ["resource"]
        "Time since something is known that is not applied; 0 if the newest known data is applied.";
    RELOAD_PENDING = Gauge "confd_resource_reload_pending" ["resource"]
        "Whether the file is in place and its reload has failed.";
    RETRIES = Counter "confd_resource_retries_total" ["resource"]
        "Passes that repeat a failed pass, in watch mode.";
    FAILURES = Counter "confd_resource_failures_total" ["resource", "kind"]
        "Passes that failed, by the step that failed.";
    WATCH_RESTARTS = Counter "confd_watch_restarts_total" ["backend"]
        "How often the backend was followed again after a failure.";
    LAST_RELOAD = Gauge "confd_config_last_load_timestamp_seconds" []
        "Time at which the resource files were last read.";
    BUILD = Gauge "confd_build_info" ["version"]
        "1, with the version of confd.";

    GOROUTINES = Gauge "go_goroutines" []
        "Tasks and threads of confd, which has no goroutines: the name is that of Go programs.";
    CPU = Counter "process_cpu_seconds_total" []
        "Total user and system CPU time spent in seconds.";
    OPEN_FDS = Gauge "process_open_fds" []
        "Number of open file descriptors.";
    MAX_FDS = Gauge "process_max_fds" []
        "Maximum number of open file descriptors.";
    VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Virtual memory size in bytes.";
    VIRTUAL_MAX = Gauge "process_virtual_memory_max_bytes" []
        "Maximum amount of virtual memory available in bytes.";
    RESIDENT = Gauge "process_resident_memory_bytes" []
        "Resident memory size in bytes.";
    START = Gauge "process_start_time_seconds" []
        "Start time of the process since unix epoch in seconds.";
}
