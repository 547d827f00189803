//! A client of ZooKeeper for tests, which writes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::PATIENCE;

/// There is no such node.
const NO_NODE: i32 = -101;

/// The numbers of operations.
const CREATE: i32 = 1;
const DELETE: i32 = 2;
const SET: i32 = 5;
const SET_ACL: i32 = 7;
const CHILDREN: i32 = 8;
const MULTI: i32 = 14;

/// A session on one server, which ends some seconds after this is dropped.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    number: i32,
}

impl Client {
    /// Opens a session.
    #[track_caller]
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE.min(Duration::from_secs(20)))).unwrap();
        let mut client = Client { stream, number: 0 };
        // It sends no signs of life, so the session must last as long as a test.
        let mut request = Request::default();
        request.int(0).long(0).int(60_000).long(0).bytes(&[0; 16]).byte(0);
        client.send(&request);
        client.receive();
        client
    }

    /// Logs in as a user, given as `NAME:PASSWORD`.
    #[track_caller]
    pub fn log_in(&mut self, user: &str) {
        let mut request = Request::default();
        request.int(-4).int(100).int(0).bytes(b"digest").bytes(user.as_bytes());
        self.send(&request);
        self.receive();
    }

    /// Sets the data of a node. It is made if it does not exist, with the nodes above it.
    #[track_caller]
    pub fn set(&mut self, path: &str, data: &[u8]) {
        let mut request = Request::default();
        request.bytes(path.as_bytes()).bytes(data).int(-1);
        match self.ask(SET, &request) {
            Ok(_) => {}
            Err(NO_NODE) => self.create_together(&[(path.to_owned(), data)]),
            Err(code) => panic!("ZooKeeper: error {code} for {path}"),
        }
    }

    /// Makes nodes, and the nodes above them that do not exist, in one transaction.
    #[track_caller]
    pub fn create_together(&mut self, nodes: &[(String, &[u8])]) {
        let mut all: Vec<(&str, &[u8])> = Vec::new();
        for (path, data) in nodes {
            for (at, _) in path.match_indices('/').skip(1) {
                let above = &path[..at];
                let is_new = all.iter().all(|(path, _)| *path != above);
                if is_new && self.children(above).is_none() {
                    all.push((above, b""));
                }
            }
            all.push((path, data));
        }
        let mut request = Request::default();
        for (path, data) in all {
            request.int(CREATE).byte(0).int(-1).bytes(path.as_bytes()).bytes(data);
            request.open_to_all().int(0);
        }
        self.together(request);
    }

    /// Sets the data of existing nodes in one transaction.
    #[track_caller]
    pub fn set_together(&mut self, nodes: &[(String, &[u8])]) {
        let mut request = Request::default();
        for (path, data) in nodes {
            request.int(SET).byte(0).int(-1).bytes(path.as_bytes()).bytes(data).int(-1);
        }
        self.together(request);
    }

    /// Deletes a node, and in the same transaction those above it that would be left without children.
    /// Does nothing if it does not exist.
    #[track_caller]
    pub fn delete(&mut self, path: &str) {
        if self.children(path).is_none() {
            return;
        }
        let mut request = Request::default();
        let mut path = path;
        loop {
            request.int(DELETE).byte(0).int(-1).bytes(path.as_bytes()).int(-1);
            let Some((above, _)) = path.rsplit_once('/').filter(|(above, _)| !above.is_empty())
            else {
                break;
            };
            if self.children(above).is_none_or(|children| children.len() != 1) {
                break;
            }
            path = above;
        }
        self.together(request);
    }

    /// Deletes one node, which has no children.
    #[track_caller]
    pub fn delete_only(&mut self, path: &str) {
        let mut request = Request::default();
        request.bytes(path.as_bytes()).int(-1);
        self.ask(DELETE, &request).unwrap_or_else(|code| panic!("error {code} for {path}"));
    }

    /// The names of the children of a node; `None` if it does not exist.
    #[track_caller]
    pub fn children(&mut self, path: &str) -> Option<Vec<String>> {
        let mut request = Request::default();
        request.bytes(path.as_bytes()).byte(0);
        let reply = match self.ask(CHILDREN, &request) {
            Ok(reply) => reply,
            Err(NO_NODE) => return None,
            Err(code) => panic!("ZooKeeper: error {code} for {path}"),
        };
        let mut rest = &reply[4..];
        let mut names = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let (name, behind) = behind.split_at(i32::from_be_bytes(*length) as usize);
            names.push(String::from_utf8(name.to_vec()).unwrap());
            rest = behind;
        }
        Some(names)
    }

    /// The paths of a node and of all below it, the deepest first.
    pub fn all_below(&mut self, path: &str) -> Vec<String> {
        let children = self.children(path).unwrap_or_default();
        let mut all: Vec<String> =
            children.iter().flat_map(|name| self.all_below(&format!("{path}/{name}"))).collect();
        all.push(path.to_owned());
        all
    }

    /// Lets every client write a node, and only a user read it, given as `NAME:PASSWORD`.
    #[track_caller]
    pub fn allow_only(&mut self, user: &str, path: &str) {
        let name = user.split(':').next().unwrap();
        let digest = STANDARD.encode(Sha1::digest(user));
        let mut request = Request::default();
        // All but reading, which is 1, for every client.
        request.bytes(path.as_bytes()).int(2);
        request.int(30).bytes(b"world").bytes(b"anyone");
        request.int(31).bytes(b"digest").bytes(format!("{name}:{digest}").as_bytes()).int(-1);
        self.ask(SET_ACL, &request).unwrap_or_else(|code| panic!("error {code} for {path}"));
    }

    /// Lets every client do everything with a node.
    #[track_caller]
    pub fn allow_all(&mut self, path: &str) {
        let mut request = Request::default();
        request.bytes(path.as_bytes()).open_to_all().int(-1);
        self.ask(SET_ACL, &request).unwrap_or_else(|code| panic!("error {code} for {path}"));
    }

    #[track_caller]
    fn together(&mut self, mut request: Request) {
        request.int(-1).byte(1).int(-1);
        let reply = self.ask(MULTI, &request).unwrap_or_else(|code| panic!("error {code}"));
        // The first result has the number of its operation, or -1 if the transaction failed.
        let is_done = !reply.starts_with(&[0xff; 4]);
        assert!(is_done, "ZooKeeper: the transaction failed: {reply:?}");
    }

    fn ask(&mut self, operation: i32, content: &Request) -> Result<Vec<u8>, i32> {
        self.number += 1;
        let mut request = Request::default();
        request.int(self.number).int(operation).0.extend(&content.0);
        self.send(&request);
        let reply = self.receive();
        let code = i32::from_be_bytes(reply[12..16].try_into().unwrap());
        if code == 0 { Ok(reply[16..].to_vec()) } else { Err(code) }
    }

    fn send(&mut self, request: &Request) {
        let mut frame = Request::default();
        frame.bytes(&request.0);
        self.stream.write_all(&frame.0).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut reply = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut reply).unwrap();
        reply
    }
}

/// A request in ZooKeeper's encoding.
#[derive(Default)]
struct Request(Vec<u8>);

impl Request {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn int(&mut self, number: i32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn long(&mut self, number: i64) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.int(bytes.len() as i32).0.extend(bytes);
        self
    }

    /// Every client may do everything.
    fn open_to_all(&mut self) -> &mut Self {
        self.int(1).int(31).bytes(b"world").bytes(b"anyone")
    }
}
