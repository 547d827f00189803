//! One pod of the manifests, whose containers an engine starts as the agent of Kubernetes does: with
//! the volumes, users, rights and variables that the manifest says.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use servers::http::{Answer, exchange};
use servers::{Engine, PATIENCE, eventually, pause};

use crate::images;
use crate::manifests::{Manifests, list, port, text, texts};

/// The network of the cluster.
const NETWORK: &str = "cluster";

/// A cluster of one pod, with an etcd and the services that nginx serves.
pub(crate) struct Pod {
    pub(crate) manifests: Manifests,
    engine: Engine,
    /// The id of the container that holds the pod's network.
    sandbox: String,
    address: String,
    etcd: String,
}

impl Pod {
    /// Makes the images and the volumes, and starts an empty etcd. No container of the pod runs yet.
    #[track_caller]
    pub(crate) fn of(form: &str) -> Pod {
        let engine = Engine::start("10.77.0.6");
        images::make(&engine, &["test/small", "test/etcd", "test/nginx-unprivileged"]);
        let context = engine.folder().join("context");
        images::write_program(&context.join("target/dist/confd"));
        // At this signal of the public image, nginx ends its requests.
        let base = "nginxinc/nginx-unprivileged:1.28-alpine";
        let public = "FROM test/nginx-unprivileged\nSTOPSIGNAL SIGQUIT\n";
        fs::write(context.join("Dockerfile"), public).unwrap();
        engine.build(base, &context, &json!({}));
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(repository.join("Dockerfile"), context.join("Dockerfile")).unwrap();
        let arguments =
            json!({"BASE": base, "PROGRAM": "target/dist/confd", "RUST_IMAGE": "test/small"});
        engine.build("registry.example/confd-nginx:1.0.0", &context, &arguments);
        engine.ask("POST /networks/create", &json!({"Name": NETWORK}));
        let etcd = start(
            &engine,
            &json!({
                "Image": "test/etcd",
                "Cmd": ["etcd", "--data-dir", "/tmp/data", "--listen-client-urls", "http://0.0.0.0:2379",
                        "--advertise-client-urls", "http://etcd:2379"],
                "HostConfig": {"NetworkMode": NETWORK},
                "NetworkingConfig": {"EndpointsConfig": {NETWORK: {"Aliases": ["etcd"]}}},
            }),
        );
        let etcd = format!("{}:2379", address(&engine, &etcd));
        eventually("etcd answers", || {
            let answer = engine.within(|| exchange(&etcd, "GET /health", &[], b""));
            answer.is_ok_and(|answer| answer.status == 200)
        });
        let idle = json!({"Image": "test/small", "Cmd": ["sleep", "100000"],
                          "HostConfig": {"NetworkMode": NETWORK}});
        let sandbox = start(&engine, &idle);
        let address = address(&engine, &sandbox);
        let pod = Pod { manifests: Manifests::of(form), engine, sandbox, address, etcd };
        list(&pod.manifests.pod()["volumes"]).iter().for_each(|volume| pod.make(volume));
        pod
    }

    /// Starts a server that answers each request with this text. Returns its address.
    #[track_caller]
    pub(crate) fn service(&self, answer: &str) -> String {
        let script = format!(
            "mkdir /tmp/www; echo {answer} > /tmp/www/index.html; exec httpd -f -p 8000 -h /tmp/www"
        );
        let body = json!({"Image": "test/small", "Cmd": ["sh", "-c", script],
                          "HostConfig": {"NetworkMode": NETWORK}});
        format!("{}:8000", address(&self.engine, &start(&self.engine, &body)))
    }

    /// Writes a key to etcd.
    #[track_caller]
    pub(crate) fn put(&self, key: &str, value: &str) {
        let pair =
            json!({"key": BASE64_STANDARD.encode(key), "value": BASE64_STANDARD.encode(value)});
        let body = pair.to_string();
        let put = || exchange(&self.etcd, "POST /v3/kv/put", &[], body.as_bytes());
        assert_eq!(self.engine.within(put).unwrap().status, 200, "{key}");
    }

    /// The folder of a volume.
    fn folder(&self, volume: &str) -> PathBuf {
        self.engine.folder().join("volumes").join(volume)
    }

    /// Makes a volume, with the owners, modes and links that Kubernetes gives it.
    #[track_caller]
    fn make(&self, volume: &Value) {
        let folder = self.folder(text(&volume["name"]));
        fs::create_dir_all(&folder).unwrap();
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let versions = folder.join("..2026_11_30");
            fs::create_dir(&versions).unwrap();
            symlink("..2026_11_30", folder.join("..data")).unwrap();
            let data = self.manifests.get("ConfigMap", name)["data"].as_object().unwrap();
            for (name, content) in data {
                fs::write(versions.join(name), text(content)).unwrap();
                symlink(format!("..data/{name}"), folder.join(name)).unwrap();
            }
        } else {
            assert!(volume["emptyDir"].is_object(), "{volume}");
            let group = self.manifests.pod()["securityContext"]["fsGroup"].as_u64().unwrap();
            chown(&folder, None, Some(group.try_into().unwrap())).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o2777)).unwrap();
        }
    }

    /// Starts a container of the pod. Returns its id.
    #[track_caller]
    pub(crate) fn start(&self, name: &str) -> String {
        let (pod, container) = (self.manifests.pod(), self.manifests.container(name));
        let (of_pod, own) = (&pod["securityContext"], &container["securityContext"]);
        let mounts = list(&container["volumeMounts"]).iter().map(|mount| {
            let folder = self.folder(text(&mount["name"]));
            let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
            format!("{}:{}:{mode}", folder.display(), text(&mount["mountPath"]))
        });
        let variables = list(&container["envFrom"]).iter().flat_map(|from| {
            let map = self.manifests.get("ConfigMap", text(&from["configMapRef"]["name"]));
            let data = map["data"].as_object().unwrap();
            data.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>()
        });
        let in_sandbox = format!("container:{}", self.sandbox);
        assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
        let body = json!({
            "Image": container["image"],
            "Entrypoint": container["command"],
            "Cmd": container["args"],
            "Env": variables.collect::<Vec<_>>(),
            "User": format!("{}:{}", of_pod["runAsUser"], of_pod["runAsGroup"]),
            "HostConfig": {
                "NetworkMode": in_sandbox,
                "PidMode": if pod["shareProcessNamespace"] == true { &in_sandbox } else { "" },
                "Binds": mounts.collect::<Vec<_>>(),
                "ReadonlyRootfs": own["readOnlyRootFilesystem"],
                "CapDrop": own["capabilities"]["drop"],
                "SecurityOpt": ["no-new-privileges"],
                "GroupAdd": [of_pod["fsGroup"].to_string()],
            },
        });
        start(&self.engine, &body)
    }

    /// Makes a request to the pod.
    pub(crate) fn get(&self, port: u64, path: &str) -> Option<Answer> {
        let address = format!("{}:{port}", self.address);
        self.engine.within(|| exchange(&address, &format!("GET {path}"), &[], b"").ok())
    }

    /// Whether a probe of a container succeeds.
    #[track_caller]
    pub(crate) fn succeeds(&self, container: &str, probe: &str) -> bool {
        let container = self.manifests.container(container);
        let request = &container[probe]["httpGet"];
        let answer = self.get(port(container, &request["port"]), text(&request["path"]));
        answer.is_some_and(|answer| (200..400).contains(&answer.status))
    }

    /// Waits until nginx passes each request to a service with this answer.
    #[track_caller]
    pub(crate) fn serves(&self, answer: &str, id: &str) {
        self.waits(id, &format!("nginx serves {answer:?}"), || {
            self.get(8080, "/").is_some_and(|got| got.text().trim() == answer)
        });
    }

    /// Waits for a condition. If it does not come true, the test fails with the log of a container.
    #[track_caller]
    pub(crate) fn waits(&self, id: &str, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}\n{}", self.log(id));
            pause(Duration::from_millis(20));
        }
    }

    /// What a container has written.
    pub(crate) fn log(&self, id: &str) -> String {
        let request = format!("GET /containers/{id}/logs?stdout=1&stderr=1");
        self.engine.try_ask(&request, &Value::Null).unwrap().text()
    }

    /// Waits for the end of a container. Returns its exit code.
    #[track_caller]
    pub(crate) fn exit_code(&self, id: &str) -> i64 {
        let ended = self.engine.ask(&format!("POST /containers/{id}/wait"), &Value::Null);
        ended["StatusCode"].as_i64().unwrap()
    }

    /// Stops a container as Kubernetes does: by its `preStop` command, if it has one, and after its end by
    /// the signal of its image. Returns its exit code.
    #[track_caller]
    pub(crate) fn stop(&self, name: &str, id: &str) -> i64 {
        let last = &self.manifests.container(name)["lifecycle"]["preStop"]["exec"]["command"];
        if !last.is_null() {
            let body = json!({"Cmd": texts(last)});
            let made = self.engine.ask(&format!("POST /containers/{id}/exec"), &body);
            let request = format!("POST /exec/{}/start", text(&made["Id"]));
            self.engine.ask(&request, &json!({"Detach": true}));
            let state = format!("GET /exec/{}/json", text(&made["Id"]));
            let has_ended = || self.engine.ask(&state, &Value::Null)["Running"] == false;
            eventually("the preStop command has ended", has_ended);
        }
        self.engine.ask(&format!("POST /containers/{id}/stop?t=20"), &Value::Null);
        self.exit_code(id)
    }
}

/// Makes a container and starts it. Returns its id.
#[track_caller]
fn start(engine: &Engine, body: &Value) -> String {
    let made = engine.ask("POST /containers/create", body);
    let id = text(&made["Id"]).to_owned();
    engine.ask(&format!("POST /containers/{id}/start"), &Value::Null);
    id
}

/// The address of a container in the network of the cluster.
#[track_caller]
fn address(engine: &Engine, id: &str) -> String {
    let container = engine.ask(&format!("GET /containers/{id}/json"), &Value::Null);
    text(&container["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]).to_owned()
}
