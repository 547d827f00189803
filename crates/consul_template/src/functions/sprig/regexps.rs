//! Regular expressions.

use bytes::Bytes;
use gotmpl::Failure;
use regex::bytes::NoExpand;

use super::super::Context;
use super::super::regexp::compile;
use super::Library;

pub(super) fn add(library: &mut Library<'_>) {
    // Without `must`, Go panics where the expression is faulty. A template sees the same text.
    for must in [false, true] {
        let name = |name: &str| match must {
            false => name.to_owned(),
            true => name.replacen("regex", "mustRegex", 1),
        };
        library.add(&name("regexMatch"), move |_: &Context, expression: Bytes, text: Bytes| {
            match compile(&expression) {
                Ok(expression) => Ok(expression.is_match(&text)),
                Err(failure) if must => Err(failure),
                Err(_) => Ok(false),
            }
        });
        library.add(&name("regexFind"), |_: &Context, expression: Bytes, text: Bytes| {
            let found = compile(&expression)?.find(&text).map(|found| found.as_bytes().to_vec());
            Ok::<_, Failure>(found.unwrap_or_default())
        });
        library.add(
            &name("regexFindAll"),
            |_: &Context, expression: Bytes, text: Bytes, count: i64| {
                let expression = compile(&expression)?;
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let found = expression.find_iter(&text).take(count);
                Ok::<_, Failure>(
                    found.map(|found| text.slice_ref(found.as_bytes())).collect::<Vec<_>>(),
                )
            },
        );
        library.add(
            &name("regexReplaceAll"),
            |_: &Context, expression: Bytes, text: Bytes, with: Bytes| {
                Ok::<_, Failure>(compile(&expression)?.replace_all(&text, &*with).into_owned())
            },
        );
        library.add(
            &name("regexReplaceAllLiteral"),
            |_: &Context, expression: Bytes, text: Bytes, with: Bytes| {
                Ok::<_, Failure>(
                    compile(&expression)?.replace_all(&text, NoExpand(&with)).into_owned(),
                )
            },
        );
        library.add(
            &name("regexSplit"),
            |_: &Context, expression: Bytes, text: Bytes, count: i64| {
                let expression = compile(&expression)?;
                let parts: Vec<_> = match usize::try_from(count) {
                    Ok(count) => {
                        expression.splitn(&text, count).map(|part| text.slice_ref(part)).collect()
                    }
                    Err(_) => expression.split(&text).map(|part| text.slice_ref(part)).collect(),
                };
                Ok::<_, Failure>(parts)
            },
        );
    }
    library.add("regexQuoteMeta", |_: &Context, text: Bytes| {
        let mut out = Vec::with_capacity(text.len());
        for byte in text {
            if br"\.+*?()|[]{}^$".contains(&byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out
    });
}
