//! The manifests in `examples/kubernetes/`: what they name exists, and a pod of each of them does what
//! its guide says.
//!
//! There is no Kubernetes here: an engine of containers starts what the manifests say, with the same
//! volumes, users, rights and variables, and the tests make the requests of the probes. The images
//! are made of folders of this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../compose/images.rs"]
#[expect(dead_code, reason = "the tests of `examples/compose` use the rest")]
mod images;
mod manifests;
mod pod;

use std::{collections::BTreeSet, fs, path::Path};

use manifests::{Manifests, list, port, text, texts};
use pod::Pod;

/// The forms, each a file.
const FORMS: [&str; 3] = ["init-container", "sidecar", "one-container"];

#[test]
fn what_a_manifest_names_exists() {
    for form in FORMS {
        let manifests = Manifests::of(form);
        let pod = manifests.pod();
        manifests.get("ServiceAccount", text(&pod["serviceAccountName"]));
        let mut used = BTreeSet::new();
        let mut volumes = BTreeSet::new();
        for volume in list(&pod["volumes"]) {
            volumes.insert(text(&volume["name"]));
            if let Some(name) = volume["configMap"]["name"].as_str() {
                used.insert(name);
            }
        }
        let mut mounted = BTreeSet::new();
        for container in manifests.containers() {
            let name = text(&container["name"]);
            let paths: Vec<_> =
                list(&container["volumeMounts"]).iter().map(|mount| &mount["mountPath"]).collect();
            assert_eq!(
                paths.iter().map(|path| text(path)).collect::<BTreeSet<_>>().len(),
                paths.len()
            );
            for mount in list(&container["volumeMounts"]) {
                assert!(mount["subPath"].is_null(), "{form}, {name}: such a file is never updated");
                mounted.insert(text(&mount["name"]));
            }
            used.extend(
                list(&container["envFrom"]).iter().map(|from| text(&from["configMapRef"]["name"])),
            );
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let request = &container[probe]["httpGet"];
                assert!(
                    request.is_null() || port(container, &request["port"]) > 1023,
                    "{form}, {name}"
                );
            }
        }
        assert_eq!(mounted, volumes, "{form}");
        assert_eq!(used, manifests.names("ConfigMap").into_iter().collect(), "{form}");
        let service = &manifests.get("Service", "web")["spec"];
        port(manifests.container("nginx"), &service["ports"][0]["targetPort"]);
        let deployment = &manifests.get("Deployment", "web")["spec"];
        let labels = &deployment["template"]["metadata"]["labels"];
        assert_eq!(service["selector"], *labels, "{form}");
        assert_eq!(deployment["selector"]["matchLabels"], *labels, "{form}");
    }
}

#[test]
fn no_container_has_more_rights_than_it_needs() {
    for form in FORMS {
        let manifests = Manifests::of(form);
        let pod = &manifests.pod()["securityContext"];
        assert_eq!(pod["runAsNonRoot"], true, "{form}");
        assert_ne!(pod["runAsUser"], 0, "{form}");
        assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{form}");
        for container in manifests.containers() {
            let own = &container["securityContext"];
            assert_eq!(own["readOnlyRootFilesystem"], true, "{form}");
            assert_eq!(own["allowPrivilegeEscalation"], false, "{form}");
            assert_eq!(texts(&own["capabilities"]["drop"]), ["ALL"], "{form}");
        }
        let account = manifests.get("ServiceAccount", "web");
        assert_eq!(account["automountServiceAccountToken"], false);
    }
}

#[test]
fn the_guide_quotes_the_manifests_and_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("docs/kubernetes.md")).unwrap();
    let manifests = FORMS
        .map(|form| fs::read_to_string(manifests::folder().join(format!("{form}.yaml"))).unwrap());
    let mut quotes = 0;
    for block in guide.split("```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        if kind == "sh" {
            let words = text.split_whitespace().filter(|word| word.starts_with("examples/"));
            words.for_each(|path| assert!(root.join(path).exists(), "{path}"));
            continue;
        }
        let quoted: Vec<_> = text.trim_end().lines().map(str::trim).collect();
        let found = manifests.iter().any(|manifest| {
            let of_code = manifest.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let of_code: Vec<_> = of_code.collect();
            of_code.windows(quoted.len()).any(|window| window == quoted)
        });
        assert!(found, "no manifest has:\n{text}");
        quotes += 1;
    }
    assert!(quotes > 3, "{quotes}");
}

#[test]
fn an_init_container_waits_for_the_keys_and_ends_when_its_file_is_in_place() {
    let pod = Pod::of("init-container");
    let confd = pod.start("confd");
    pod.waits(&confd, "confd waits", || pod.log(&confd).contains("waiting for data, at most 60s"));
    pod.put("/services/app/one", &pod.service("one"));
    assert_eq!(pod.exit_code(&confd), 0, "{}", pod.log(&confd));
    let nginx = pod.start("nginx");
    pod.waits(&nginx, "nginx is ready", || pod.succeeds("nginx", "readinessProbe"));
    pod.serves("one", &nginx);
    assert_eq!(pod.stop("nginx", &nginx), 0, "{}", pod.log(&nginx));
}

#[test]
fn a_sidecar_lets_nginx_start_and_reloads_it_as_another_user_than_root() {
    let pod = Pod::of("sidecar");
    let confd = pod.start("confd");
    assert_eq!(pod.manifests.container("confd")["restartPolicy"], "Always");
    becomes_ready(&pod, "confd", &confd);
    let nginx = pod.start("nginx");
    follows(&pod, "confd", &confd);
    // A sidecar ends after the other containers.
    assert_eq!(pod.stop("nginx", &nginx), 0, "{}", pod.log(&nginx));
    assert_eq!(pod.stop("confd", &confd), 0, "{}", pod.log(&confd));
}

#[test]
fn in_one_container_confd_starts_nginx_and_ends_with_it() {
    let pod = Pod::of("one-container");
    let id = pod.start("nginx");
    becomes_ready(&pod, "nginx", &id);
    follows(&pod, "nginx", &id);
    assert_eq!(pod.stop("nginx", &id), 0, "{}", pod.log(&id));
}

/// Without keys the container of confd lives and has not started; with the first service it has.
#[track_caller]
fn becomes_ready(pod: &Pod, name: &str, id: &str) {
    pod.waits(id, "confd lives", || pod.succeeds(name, "livenessProbe"));
    assert!(!pod.succeeds(name, "startupProbe"), "{}", pod.log(id));
    pod.put("/services/app/one", &pod.service("one"));
    pod.waits(id, "confd is ready", || pod.succeeds(name, "startupProbe"));
}

/// nginx serves what the store says, and goes on as before while the store has a broken value.
#[track_caller]
fn follows(pod: &Pod, name: &str, id: &str) {
    pod.waits(id, "nginx is ready", || pod.succeeds("nginx", "readinessProbe"));
    pod.serves("one", id);
    pod.put("/services/app/one", &pod.service("two"));
    pod.serves("two", id);

    pod.put("/services/app/one", "no address");
    pod.waits(id, "nginx refuses the file", || pod.log(id).contains("invalid parameter"));
    assert!(!pod.succeeds(name, "startupProbe"), "{}", pod.log(id));
    assert!(pod.succeeds(name, "livenessProbe"), "{}", pod.log(id));
    assert!(pod.succeeds("nginx", "readinessProbe"), "{}", pod.log(id));
    pod.serves("two", id);

    pod.put("/services/app/one", &pod.service("three"));
    pod.serves("three", id);
    pod.waits(id, "confd is ready again", || pod.succeeds(name, "startupProbe"));
}
