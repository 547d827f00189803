//! The functions every template has, whoever registers more.

use crate::func::Signature;
use crate::types::Type;

/// A builtin function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Len,
    Index,
    Slice,
    Call,
    Print,
    Printf,
    Println,
    Html,
    Js,
    Urlquery,
}

impl Builtin {
    /// All builtins.
    pub(crate) const ALL: [Builtin; 19] = [
        Builtin::And,
        Builtin::Or,
        Builtin::Not,
        Builtin::Eq,
        Builtin::Ne,
        Builtin::Lt,
        Builtin::Le,
        Builtin::Gt,
        Builtin::Ge,
        Builtin::Len,
        Builtin::Index,
        Builtin::Slice,
        Builtin::Call,
        Builtin::Print,
        Builtin::Printf,
        Builtin::Println,
        Builtin::Html,
        Builtin::Js,
        Builtin::Urlquery,
    ];

    /// The name templates call it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Builtin::And => "and",
            Builtin::Or => "or",
            Builtin::Not => "not",
            Builtin::Eq => "eq",
            Builtin::Ne => "ne",
            Builtin::Lt => "lt",
            Builtin::Le => "le",
            Builtin::Gt => "gt",
            Builtin::Ge => "ge",
            Builtin::Len => "len",
            Builtin::Index => "index",
            Builtin::Slice => "slice",
            Builtin::Call => "call",
            Builtin::Print => "print",
            Builtin::Printf => "printf",
            Builtin::Println => "println",
            Builtin::Html => "html",
            Builtin::Js => "js",
            Builtin::Urlquery => "urlquery",
        }
    }

    /// The builtin's signature. Go's builtins that take a `reflect.Value` take any value, as do
    /// those with parameters of type `interface {}`.
    pub(crate) fn signature(self) -> Signature {
        const ANY: Type = Type::Interface;
        let (params, variadic) = match self {
            Builtin::Not | Builtin::Len => (vec![ANY], false),
            Builtin::Ne | Builtin::Lt | Builtin::Le | Builtin::Gt | Builtin::Ge => {
                (vec![ANY, ANY], false)
            }
            Builtin::And
            | Builtin::Or
            | Builtin::Eq
            | Builtin::Index
            | Builtin::Slice
            | Builtin::Call => (vec![ANY, ANY], true),
            Builtin::Print | Builtin::Println | Builtin::Html | Builtin::Js | Builtin::Urlquery => {
                (vec![ANY], true)
            }
            Builtin::Printf => (vec![Type::String, ANY], true),
        };
        Signature { params, variadic, result: ANY }
    }
}
