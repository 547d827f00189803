//! `-tags`: a Go template over the inspected container.

mod functions;
mod inspected;

use std::sync::Arc;

use gotmpl::Template;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::container::Container;
use crate::log::Log;
use crate::service::Rules;
use functions::Context;

/// The name of the template in Go's errors.
const NAME: &str = "tags";

/// The tags of every service.
pub(crate) struct Tags {
    text: String,
    log: Log,
}

impl Tags {
    pub(crate) fn new(text: &str, log: Log) -> Tags {
        Tags { text: text.to_owned(), log }
    }

    /// The tags for a container.
    ///
    /// # Errors
    /// The text is no template, or its execution failed. As in registrator, this is seen only when
    /// there is a container.
    pub(crate) async fn of(
        &self,
        container: &Container,
        rules: &Rules,
    ) -> Result<Vec<String>, String> {
        if !self.text.contains("{{") {
            return Ok(rules.tags(&self.text));
        }
        let (text, document) = (self.text.clone(), container.document().clone());
        let runtime = Handle::current();
        // A function can wait for an answer from the network.
        let executed = spawn_blocking(move || execute(&text, &document, runtime)).await;
        let (expanded, problems) = executed.map_err(|panic| panic.to_string())??;
        problems.iter().for_each(|problem| self.log.line(problem));
        Ok(rules.tags(&expanded))
    }
}

/// Executes the template `text`. Returns also what went wrong on the way.
fn execute(
    text: &str,
    document: &serde_json::Value,
    runtime: Handle,
) -> Result<(String, Vec<String>), String> {
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        format!("{text} template {what} failed with error: {why}")
    };
    let functions = Arc::new(functions::table());
    let template = Template::parse(NAME, text.to_owned(), &functions)
        .map_err(|error| failed("parsing", &error))?;
    let context = Context::new(runtime);
    let mut out = Vec::new();
    template
        .execute(&context, inspected::value(document), &mut out)
        .map_err(|error| failed("execution", &error))?;
    Ok((String::from_utf8_lossy(&out).into_owned(), context.into_problems()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let document = json!({
            "Id": "0123", "Name": "/web1", "Path": "/bin/app",
            "State": {"Running": true, "ExitCode": 0},
            "Config": {"Hostname": "h", "Env": ["ZONE=eu-1", "ROLE=Front"], "Image": "nginx",
                "Labels": {"rack": "r12"}},
            "HostConfig": {"NetworkMode": "default"},
            "NetworkSettings": {"IPAddress": "172.17.0.2", "Ports": {"80/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]},
                "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        execute(text, &document, runtime.handle().clone()).map(|(text, _)| text)
    }

    #[test]
    fn the_fields_have_the_names_of_go() {
        for (text, expected) in [
            (
                "{{.Name}};{{.Config.Image}};{{.State.Running}};{{.State.ExitCode}}",
                "/web1;nginx;true;0",
            ),
            (
                "{{.NetworkSettings.IPAddress}};{{.ID}};{{.HostConfig.NetworkMode}};{{.Path}}",
                "172.17.0.2;0123;default;/bin/app",
            ),
            (
                "{{range $p, $b := .NetworkSettings.Ports}}{{$p}}{{range $b}} {{.HostIP}} {{.HostPort}};{{end}}{{end}}",
                "80/tcp 0.0.0.0 8080; :: 8080;",
            ),
            (
                "{{range $n, $v := .NetworkSettings.Networks}}{{$n}} {{$v.IPAddress}}{{end}}",
                "bridge 172.17.0.2",
            ),
            ("{{index .Config.Labels \"rack\"}}{{.Config.Labels.none}}", "r12<no value>"),
            ("{{len .Mounts}}{{.HostConfig.Privileged}}", "0false"),
        ] {
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn the_functions_are_registrators() {
        for (text, expected) in [
            (
                "{{strSlice \"abcdef\" 1}};{{strSlice \"abcdef\" 1 3}};{{strSlice \"abcdef\" 1 99}}",
                "bcdef;bc;abcdef",
            ),
            (
                "{{strSlice \"abcdef\" 9}};{{strSlice \"abcdef\" 4 2}};{{strSlice \"abcdef\" 2 2}}",
                "abcdef;ef;",
            ),
            (
                "{{sIndex 0 .Config.Env}};{{sIndex -1 .Config.Env}};{{sIndex 9 .Config.Env}};{{sIndex -9 .Config.Env}}",
                "ZONE=eu-1;ROLE=Front;ROLE=Front;ZONE=eu-1",
            ),
            ("{{mIndex \"rack\" .Config.Labels}}{{mIndex \"none\" .Config.Labels}}", "r12"),
            (
                "{{toUpper .Name}};{{\"ABC\" | toLower}};{{replace -1 \"/\" \"\" .Name}};{{replace 1 \"b\" \"x\" \"abcb\"}}",
                "/WEB1;abc;web1;axcb",
            ),
            (
                "{{join \"-\" (split \":\" \"a:b:c\")}};{{splitIndex 1 \"=\" (index .Config.Env 0)}}",
                "a-b-c;eu-1",
            ),
            (
                "{{matchFirstElement \"^ROLE\" .Config.Env}};{{len (matchAllElements \"=\" .Config.Env)}}",
                "ROLE=Front;2",
            ),
            (
                "{{jsonParse \"{\\\"a\\\":{\\\"b\\\":[1,{\\\"c\\\":true}]}}\" \"a::b\"}}",
                "[1,{\"c\":true}]",
            ),
        ] {
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_says_whether_parsing_or_execution_failed() {
        let begin = |text: &str| expanded(text).unwrap_err();
        assert!(
            begin("{{.Name")
                .starts_with("{{.Name template parsing failed with error: template: tags")
        );
        for text in [
            "{{index .Config.Env 99}}",
            "{{matchFirstElement \"(\" .Config.Env}}",
            "{{.Nosuch}}",
            "{{strSlice .Name -1}}",
        ] {
            let error = begin(text);
            let start = format!("{text} template execution failed with error: template: tags:1:");
            assert!(error.starts_with(&start), "{error}");
        }
    }
}
