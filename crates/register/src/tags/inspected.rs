//! An inspected container as a value of a Go template: the structs of the Docker client that
//! registrator is built with.

use bytes::Bytes;
use gotmpl::types::{
    Field, INT64, KeyType, MapType, PointerType, STRING_MAP, STRINGS, SliceType, StructType, Type,
};
use gotmpl::{Map, Pointer, Slice, Struct, Value};
use serde_json::Value as Json;

const TEXT: Type = Type::String;
const NUMBER: Type = Type::Int;
const SWITCH: Type = Type::Bool;
const LIST: Type = Type::Slice(&STRINGS);
const TEXTS: Type = Type::Map(&STRING_MAP);
const LONG: Type = Type::Integer(&INT64);

/// Struct types with their fields.
macro_rules! structs {
    ($( $(#[$doc:meta])* $ty:ident = $go:literal { $($($name:ident)+: $field:expr),* $(,)? } )+) => {$(
        $(#[$doc])*
        static $ty: StructType = StructType {
            name: $go,
            fields: &[$($(Field { name: stringify!($name), ty: $field }),+),*],
            methods: &[],
        };
    )+};
}

structs! {
    CONTAINER = "docker.Container" {
        ID Created Path: TEXT,
        Args: LIST,
        Config: Type::Pointer(&CONFIG_POINTER),
        State: Type::Struct(&STATE),
        Image: TEXT,
        NetworkSettings: Type::Pointer(&NETWORK_SETTINGS_POINTER),
        SysInitPath ResolvConfPath HostnamePath HostsPath LogPath Name Driver: TEXT,
        Mounts: Type::Slice(&MOUNTS),
        Volumes: TEXTS,
        HostConfig: Type::Pointer(&HOST_CONFIG_POINTER),
        ExecIDs: LIST,
        RestartCount: NUMBER,
        AppArmorProfile MountLabel ProcessLabel Platform: TEXT,
        SizeRw SizeRootFs: LONG,
    }
    CONFIG = "docker.Config" {
        Hostname Domainname User: TEXT,
        Memory MemorySwap MemoryReservation KernelMemory CPUShares: LONG,
        CPUSet: TEXT,
        PortSpecs: LIST,
        ExposedPorts: Type::Map(&EMPTIES),
        PublishService StopSignal: TEXT,
        Env Cmd Shell: LIST,
        Healthcheck: Type::Pointer(&HEALTH_CONFIG_POINTER),
        DNS: LIST,
        Image: TEXT,
        Volumes: Type::Map(&EMPTIES),
        VolumeDriver WorkingDir MacAddress: TEXT,
        Entrypoint SecurityOpts OnBuild: LIST,
        Labels: TEXTS,
        AttachStdin AttachStdout AttachStderr ArgsEscaped Tty OpenStdin StdinOnce NetworkDisabled: SWITCH,
        VolumesFrom: TEXT,
        StopTimeout: NUMBER,
    }
    HEALTH_CONFIG = "docker.HealthConfig" {
        Test: LIST,
        Interval Timeout StartPeriod: LONG,
        Retries: NUMBER,
    }
    STATE = "docker.State" {
        Status: TEXT,
        Running Paused Restarting OOMKilled RemovalPending Dead: SWITCH,
        Pid ExitCode: NUMBER,
        Error StartedAt FinishedAt: TEXT,
        Health: Type::Struct(&HEALTH),
    }
    HEALTH = "docker.Health" {
        Status: TEXT,
        FailingStreak: NUMBER,
        Log: Type::Slice(&HEALTH_CHECKS),
    }
    HEALTH_CHECK = "docker.HealthCheck" {
        Start End: TEXT,
        ExitCode: NUMBER,
        Output: TEXT,
    }
    NETWORK_SETTINGS = "docker.NetworkSettings" {
        Networks: Type::Map(&NETWORKS),
        IPAddress: TEXT,
        IPPrefixLen: NUMBER,
        MacAddress Gateway Bridge: TEXT,
        Ports: Type::Map(&PORTS),
        NetworkID EndpointID SandboxKey GlobalIPv6Address: TEXT,
        GlobalIPv6PrefixLen: NUMBER,
        IPv6Gateway LinkLocalIPv6Address: TEXT,
        LinkLocalIPv6PrefixLen: NUMBER,
        SecondaryIPAddresses SecondaryIPv6Addresses: LIST,
    }
    NETWORK = "docker.ContainerNetwork" {
        Aliases: LIST,
        MacAddress: TEXT,
        GlobalIPv6PrefixLen: NUMBER,
        GlobalIPv6Address IPv6Gateway: TEXT,
        IPPrefixLen: NUMBER,
        IPAddress Gateway EndpointID NetworkID: TEXT,
    }
    BINDING = "docker.PortBinding" { HostIP HostPort: TEXT }
    MOUNT = "docker.Mount" {
        Name Source Destination Driver Mode: TEXT,
        RW: SWITCH,
        Type: TEXT,
    }
    HOST_CONFIG = "docker.HostConfig" {
        Binds CapAdd CapDrop GroupAdd: LIST,
        ContainerIDFile: TEXT,
        PortBindings: Type::Map(&PORTS),
        Links DNS DNSOptions DNSSearch ExtraHosts VolumesFrom: LIST,
        UsernsMode NetworkMode IpcMode Isolation PidMode UTSMode: TEXT,
        RestartPolicy: Type::Struct(&RESTART_POLICY),
        LogConfig: Type::Struct(&LOG_CONFIG),
        SecurityOpt: LIST,
        CgroupnsMode CgroupParent: TEXT,
        Memory MemoryReservation KernelMemory MemorySwap CPUShares: LONG,
        CPUSetCPUs CPUSetMEMs: TEXT,
        CPUQuota CPUPeriod NanoCPUs BlkioWeight: LONG,
        VolumeDriver: TEXT,
        OomScoreAdj: NUMBER,
        Tmpfs Sysctls StorageOpt: TEXTS,
        ShmSize: LONG,
        Privileged PublishAllPorts ReadonlyRootfs OOMKillDisable AutoRemove Init: SWITCH,
        Runtime: TEXT,
        PidsLimit: LONG,
    }
    RESTART_POLICY = "docker.RestartPolicy" {
        Name: TEXT,
        MaximumRetryCount: NUMBER,
    }
    LOG_CONFIG = "docker.LogConfig" {
        Type: TEXT,
        Config: TEXTS,
    }
    EMPTY = "struct {}" {}
}

static CONFIG_POINTER: PointerType = PointerType { elem: &CONFIG, methods: &[] };
static HEALTH_CONFIG_POINTER: PointerType = PointerType { elem: &HEALTH_CONFIG, methods: &[] };
static NETWORK_SETTINGS_POINTER: PointerType =
    PointerType { elem: &NETWORK_SETTINGS, methods: &[] };
static HOST_CONFIG_POINTER: PointerType = PointerType { elem: &HOST_CONFIG, methods: &[] };
static EMPTIES: MapType = MapType { key: KeyType::String, elem: Type::Struct(&EMPTY) };
static NETWORKS: MapType = MapType { key: KeyType::String, elem: Type::Struct(&NETWORK) };
static PORTS: MapType = MapType { key: KeyType::String, elem: Type::Slice(&BINDINGS) };
static BINDINGS: SliceType = SliceType { name: None, elem: Type::Struct(&BINDING), methods: &[] };
static MOUNTS: SliceType = SliceType { name: None, elem: Type::Struct(&MOUNT), methods: &[] };
static HEALTH_CHECKS: SliceType =
    SliceType { name: None, elem: Type::Struct(&HEALTH_CHECK), methods: &[] };

/// A container as the pointer that a template gets.
pub(super) fn value(document: &Json) -> Value {
    static POINTER: PointerType = PointerType { elem: &CONTAINER, methods: &[] };
    of(Type::Pointer(&POINTER), Some(document))
}

/// The value of a type that a document describes. What is missing, or has another form, is zero.
fn of(ty: Type, json: Option<&Json>) -> Value {
    let json = json.unwrap_or(&Json::Null);
    match ty {
        Type::String => Value::String(
            json.as_str().map_or(Bytes::new(), |text| Bytes::copy_from_slice(text.as_bytes())),
        ),
        Type::Bool => Value::Bool(json.as_bool().unwrap_or(false)),
        Type::Int => Value::Int(json.as_i64().unwrap_or(0)),
        Type::Integer(ty) => Value::Integer(ty, json.as_i64().unwrap_or(0).cast_unsigned()),
        Type::Slice(ty) => match json.as_array() {
            Some(list) => Value::Slice(Slice::of(
                ty,
                list.iter().map(|json| of(ty.elem, Some(json))).collect(),
            )),
            None => Value::Slice(Slice::nil(ty)),
        },
        Type::Map(ty) => match json.as_object() {
            Some(object) => {
                let entry = |(name, json): (&String, &Json)| {
                    (Bytes::copy_from_slice(name.as_bytes()), of(ty.elem, Some(json)))
                };
                Value::Map(Map::of(ty, object.iter().map(entry).collect()))
            }
            None => Value::Map(Map::nil(ty)),
        },
        Type::Struct(ty) => Value::Struct(filled(ty, json)),
        Type::Pointer(ty) if json.is_object() => {
            Value::Pointer(Pointer::to(ty, filled(ty.elem, json)))
        }
        other => Value::zero(other),
    }
}

fn filled(ty: &'static StructType, json: &Json) -> Struct {
    // As Go's decoder, the engine's name of a field counts in whatever case.
    let get = |name: &str| {
        json.get(name).or_else(|| {
            let object = json.as_object()?;
            object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, json)| json)
        })
    };
    let fields = ty.fields.iter().map(|field| of(field.ty, get(field.name)));
    Struct::new(ty, fields.collect::<Vec<_>>())
}
