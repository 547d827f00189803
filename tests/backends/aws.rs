//! Keys from the services of AWS, for which moto stands.

mod acm;
mod dynamodb;
mod imds;
mod secretsmanager;
mod ssm;

use rustix::process::Signal;
use serde_json::json;
use servers::Moto;

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A sandbox with a resource that asks for these keys, written in TOML, and prints all pairs in four
/// levels.
fn asking_for(keys: &str) -> Sandbox {
    let level = |pattern: &str| {
        format!("{{{{range gets \"{pattern}\"}}}}{{{{.Key}}}}={{{{.Value}}}} {{{{end}}}}")
    };
    let sandbox = Sandbox::new();
    let levels = ["/*", "/*/*", "/*/*/*", "/*/*/*/*"].map(level);
    sandbox.write("templates/app", levels.concat());
    let table = format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = {keys}\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox
}

/// The run in the environment of an account at this server.
fn at(server: &str, run: Run) -> Run {
    run.env("AWS_ENDPOINT_URL", format!("http://{server}"))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDTEST")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_MAX_ATTEMPTS", "2")
}

fn onetime(sandbox: &Sandbox, server: &Moto, backend: &str) -> Run {
    at(&server.address(), sandbox.confd(&["-onetime", "-backend", backend]))
}

/// What a onetime run prints for these keys.
#[track_caller]
fn read(server: &Moto, backend: &str, keys: &str, more: &[&str]) -> String {
    let sandbox = asking_for(keys);
    onetime(&sandbox, server, backend).arguments(more).ok();
    sandbox.output()
}

#[test]
fn watch_mode_is_refused_also_for_a_single_pass() {
    let sandbox = asking_for("['/app']");
    let table = ["-table", "confd"];
    for backend in ["ssm", "dynamodb", "secretsmanager", "acm"] {
        for mode in [&["-watch"][..], &["-watch", "-onetime"]] {
            let run = sandbox.confd(&["-backend", backend]).arguments(mode).arguments(&table);
            let line = format!(
                "FATAL Watch is not supported for backend {backend}. Exiting... (without -watch, its keys \
                 are read every -interval)"
            );
            assert_eq!(at("127.0.0.1:1", run).fails().log(), [line]);
        }
        let fork = sandbox.bare(&[backend, "--watch"]).arguments(&table).fails();
        fork.expect_no("Starting confd");
    }
}

#[test]
fn without_credentials_or_region_the_error_says_where_they_were_looked_for() {
    let sandbox = asking_for("['/app']");
    let nothing = || {
        let run = sandbox.confd(&["-onetime", "-backend", "ssm"]);
        run.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", sandbox.root())
    };
    let ended = nothing().fails();
    assert!(ended.stderr.contains("ERROR ssm: no region is known: set AWS_REGION"), "{ended:?}");
    let ended = nothing().env("AWS_REGION", "eu-west-1").fails();
    assert!(
        ended.stderr.contains("ERROR ssm: no credentials: set AWS_ACCESS_KEY_ID and "),
        "{ended:?}"
    );
    let ended = nothing().env("AWS_REGION", "eu-west-1").env("AWS_PROFILE", "none").fails();
    assert!(ended.stderr.contains("ERROR ssm: there is no profile none in "), "{ended:?}");
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_profile_has_region_address_and_a_role() {
    let server = Moto::start();
    server.put_parameter("/app/a", "1", "String");
    let sandbox = asking_for("['/app']");
    let address = server.address();
    sandbox.write(
        ".aws/config",
        format!(
            "[profile prod]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\n\
             source_profile = base\nendpoint_url = http://{address}\n"
        ),
    );
    sandbox.write(".aws/credentials", "[base]\naws_access_key_id = A\naws_secret_access_key = B\n");
    let run = sandbox.confd(&["-onetime", "-backend", "ssm", "-log-level", "debug"]);
    let ended = run.env("HOME", sandbox.root()).env("AWS_PROFILE", "prod").ok();
    assert!(ended.stderr.contains("DEBUG Credentials ASIA"), "{}", ended.stderr);
}

#[test]
fn a_user_whose_rights_are_verified_reads_what_the_policy_allows_and_no_more() {
    let allowed = json!([{
        "Effect": "Allow", "Action": ["ssm:PutParameter", "ssm:GetParametersByPath"], "Resource": "*"
    }]);
    let (server, key) = Moto::verifying(&allowed);
    let sandbox = asking_for("['/none']");
    let run = |secret: &str, backend: &str| {
        let run = onetime(&sandbox, &server, backend).env("AWS_ACCESS_KEY_ID", &key.id);
        run.env("AWS_SECRET_ACCESS_KEY", secret)
    };
    let denied = run(&key.secret, "ssm").env("AWS_MAX_ATTEMPTS", "1").fails();
    // There is nothing below the key, and the parameter of its name must not be read.
    assert!(denied.stderr.contains("refused: AccessDenied"), "{}", denied.stderr);
    let wrong = run("hunter3", "ssm").fails();
    assert!(wrong.stderr.contains("refused: SignatureDoesNotMatch"), "{}", wrong.stderr);
    wrong.expect_no("hunter3");
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn changes_are_seen_in_interval_mode_and_an_outage_leaves_the_file() {
    let mut server = Moto::start();
    server.put_parameter("/app/a", "1", "String");
    let sandbox = asking_for("['/app']");
    let run = sandbox.confd(&["-interval", "1", "-backend", "ssm"]);
    let daemon = Daemon::start(at(&server.address(), run), sandbox.path("log"));
    eventually("the file is there", || sandbox.output() == "/app/a=1 ");
    server.put_parameter("/app/a", "2", "String");
    eventually("the change is there", || sandbox.output() == "/app/a=2 ");
    server.kill();
    daemon.wait_for(&format!(
        "ERROR cannot reach ssm: http://{}: connection refused (nothing listens there)",
        server.address()
    ));
    assert_eq!(sandbox.output(), "/app/a=2 ");
    server.restart();
    server.put_parameter("/app/a", "3", "String");
    eventually("the change is there", || sandbox.output() == "/app/a=3 ");
    server.process().freeze();
    server.process().thaw();
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_service_is_read_every_interval_beside_a_main_backend_that_is_followed() {
    let server = Moto::start();
    server.put_parameter("/app/a", "1", "SecureString");
    let sandbox = asking_for("['/secret/app']");
    sandbox.write("data.yaml", "x: 1\n");
    sandbox.write(
        "confd.toml",
        "backend = 'file'\nfile = ['data.yaml']\n[[backends]]\nbackend = 'ssm'\nname = 'ssm'\nmount = '/secret'\n",
    );
    let run = sandbox.confd(&["-watch", "-interval", "1"]);
    let daemon = Daemon::start(at(&server.address(), run), sandbox.path("log"));
    eventually("the file is there", || sandbox.output() == "/secret/app/a=1 ");
    server.put_parameter("/app/a", "2", "SecureString");
    eventually("the change is there", || sandbox.output() == "/secret/app/a=2 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
