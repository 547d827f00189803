//! Tests, with a real engine, of everything that other tests rely on.

use serde_json::{Value, json};

use super::*;
use crate::eventually;
use crate::http::exchange;

/// An engine with an image `web`, whose containers serve the folder `/www` at port 80.
fn engine() -> Engine {
    let engine = Engine::start("10.77.0.9");
    let root = engine.folder().join("image");
    busybox(&root);
    fs::create_dir(root.join("www")).unwrap();
    fs::write(root.join("www/index.html"), "hello").unwrap();
    let changes = ["EXPOSE 80/tcp", "LABEL a=\"1 2\"", r#"CMD ["httpd","-f","-h","/www"]"#];
    engine.import("acme/web:1", &root, &changes.map(str::to_owned));
    engine
}

fn run(engine: &Engine, name: &str) -> String {
    let ports = json!({"80/tcp": [{"HostIp": "", "HostPort": ""}]});
    let body =
        json!({"Image": "acme/web:1", "StopTimeout": 1, "HostConfig": {"PortBindings": ports}});
    engine.ask(&format!("POST /containers/create?name={name}"), &body);
    engine.ask(&format!("POST /containers/{name}/start"), &Value::Null);
    port(engine, name)
}

fn port(engine: &Engine, name: &str) -> String {
    let container = engine.ask(&format!("GET /containers/{name}/json"), &Value::Null);
    let bindings = &container["NetworkSettings"]["Ports"]["80/tcp"];
    bindings[0]["HostPort"].as_str().unwrap().to_owned()
}

fn running(engine: &Engine) -> usize {
    engine.ask("GET /containers/json", &Value::Null).as_array().unwrap().len()
}

#[test]
fn a_container_serves_at_the_address_of_the_host_and_only_in_its_network() {
    let engine = engine();
    let image = engine.ask("GET /images/acme/web:1/json", &Value::Null);
    assert_eq!(image["Config"]["Labels"], json!({"a": "1 2"}));
    engine.tag(image["Id"].as_str().unwrap(), "localhost:5000/other");
    engine.ask("GET /images/localhost:5000/other:latest/json", &Value::Null);
    let port = run(&engine, "web1");
    for address in ["10.77.0.9", "127.0.0.1"] {
        let address = format!("{address}:{port}");
        eventually("the container answers", || {
            let answer = engine.within(|| exchange(&address, "GET /", &[], b""));
            answer.is_ok_and(|answer| answer.text() == "hello")
        });
    }
    assert!(exchange(&format!("10.77.0.9:{port}"), "GET /", &[], b"").is_err());
}

#[test]
fn an_engine_that_ends_leaves_nothing_behind() {
    let engine = engine();
    run(&engine, "web1");
    let folder = engine.folder().to_owned();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let processes = || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let named = |process: &PathBuf| {
            fs::read_to_string(process.join("cmdline")).is_ok_and(|words| words.contains(&name))
        };
        processes.filter(named).count()
    };
    assert!(processes() > 2, "the engine, containerd and the container's");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&name), "{mounts}");
    let groups = || {
        let groups = Command::new("find").args(["/sys/fs/cgroup", "-name", &name]).output();
        String::from_utf8(groups.unwrap().stdout).unwrap()
    };
    assert_ne!(groups(), "");
    drop(engine);
    assert!(!folder.exists());
    assert_eq!(groups(), "");
    eventually("every process has ended", || processes() == 0);
}

#[test]
fn a_stopped_engine_starts_again_with_its_containers_and_a_killed_one_too() {
    let mut engine = engine();
    run(&engine, "web1");
    for kill in [false, true] {
        if kill {
            engine.kill();
        } else {
            engine.stop();
        }
        assert!(engine.try_ask("GET /_ping", &Value::Null).is_err());
        engine.restart();
        engine.wait();
        assert_eq!(running(&engine), 0);
        engine.ask("POST /containers/web1/start", &Value::Null);
        assert_eq!(running(&engine), 1);
    }
}
