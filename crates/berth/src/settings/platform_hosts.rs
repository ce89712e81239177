//! The platform's host name is added to `ALLOWED_HOSTS` automatically, from variables that the platform sets.
//!
//! Only the platform sets these variables, so no client can add a host.

use std::collections::HashMap;

use crate::http::host::bare_host;

/// By platform, the host in terms of its variables. A row counts where all its variables are set.
const PUBLIC_NAMES: &[(&str, &str)] = &[
    // learn.microsoft.com/azure/container-apps/environment-variables: the app's, and that of one revision.
    (
        "Azure Container Apps",
        "{CONTAINER_APP_NAME}.{CONTAINER_APP_ENV_DNS_SUFFIX}",
    ),
    ("Azure Container Apps", "{CONTAINER_APP_HOSTNAME}"),
    // coolify.io/docs/knowledge-base/environment-variables: a list, some with a scheme.
    ("Coolify", "{COOLIFY_FQDN}"),
    ("Coolify", "{COOLIFY_URL}"),
    // fly.io/docs/machines/runtime-environment
    ("Fly.io", "{FLY_APP_NAME}.fly.dev"),
    // devcenter.heroku.com/articles/dyno-metadata: once the lab `runtime-dyno-metadata` is enabled.
    ("Heroku", "{HEROKU_APP_DEFAULT_DOMAIN_NAME}"),
    // koyeb.com/docs/build-and-deploy/environment-variables
    ("Koyeb", "{KOYEB_PUBLIC_DOMAIN}"),
    // docs.railway.com/variables/reference: the public one, and the one for neighbours.
    ("Railway", "{RAILWAY_PUBLIC_DOMAIN}"),
    ("Railway", "{RAILWAY_PRIVATE_DOMAIN}"),
    // render.com/docs/environment-variables
    ("Render", "{RENDER_EXTERNAL_HOSTNAME}"),
];

/// A platform's name for the service.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicName {
    /// As one writes it into `ALLOWED_HOSTS`, if the platform sets a valid one.
    pub host: String,
    /// The variables that name it, and the platform.
    pub from: String,
}

/// The names in these variables.
pub fn public_names(variables: &HashMap<String, String>) -> Vec<PublicName> {
    let mut names = Vec::new();
    for (platform, template) in PUBLIC_NAMES {
        let (Some(text), from) = filled(template, variables) else {
            continue;
        };
        for entry in text.split(',').map(str::trim) {
            names.push(PublicName {
                host: bare_host(entry),
                from: format!("{from} ({platform})"),
            });
        }
    }
    names
}

/// The template with each `{VARIABLE}` replaced, if all are set, and their names.
fn filled(template: &str, variables: &HashMap<String, String>) -> (Option<String>, String) {
    let (mut text, mut names) = (Some(String::new()), Vec::new());
    for part in template.split_inclusive('}') {
        let (literal, name) = part.split_once('{').unwrap_or((part, ""));
        let name = name.trim_end_matches('}');
        let value = match name {
            "" => Some(""),
            _ => variables
                .get(name)
                .map(String::as_str)
                .filter(|it| !it.is_empty()),
        };
        names.extend((!name.is_empty()).then_some(name));
        text = text.zip(value).map(|(text, value)| text + literal + value);
    }
    (text, names.join(", "))
}
