//! The services that are asked.

use ::options::Variable;

/// A service that takes calls in JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// The name in messages, which is also the one in addresses and signatures, such as `ssm`.
    pub name: &'static str,
    /// What stands before the name of an operation, such as `AmazonSSM`.
    pub target: &'static str,
    /// The version of the protocol: `1.0` or `1.1`.
    pub version: &'static str,
    /// The service's key below `services` in the file of profiles, such as `secrets_manager`.
    pub profile_key: &'static str,
    /// The variable that has the service's address, such as `AWS_ENDPOINT_URL_SSM`.
    pub endpoint: Variable,
    /// A server on this machine that stands for the service, if a variable says so.
    pub local: Option<Local>,
}

/// The variables of confd by which a server on this machine stands for a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Local {
    /// The variable that turns it on if it is not empty, such as `SSM_LOCAL`.
    pub switch: Variable,
    /// The variable with the server's address, such as `SSM_ENDPOINT_URL`.
    pub address: Variable,
    /// The address without that variable; `None` if the variable is needed.
    pub default: Option<&'static str>,
}

impl Service {
    /// The variables that are about this service alone.
    pub const fn variables(&self) -> [Variable; 3] {
        match &self.local {
            Some(local) => [self.endpoint, local.switch, local.address],
            None => [self.endpoint; 3],
        }
    }

    /// Systems Manager's Parameter Store.
    pub const SSM: Service = Service {
        name: "ssm",
        target: "AmazonSSM",
        version: "1.1",
        profile_key: "ssm",
        endpoint: Variable("AWS_ENDPOINT_URL_SSM"),
        local: Some(Local {
            switch: Variable("SSM_LOCAL"),
            address: Variable("SSM_ENDPOINT_URL"),
            default: Some("http://localhost:8001"),
        }),
    };
    /// DynamoDB.
    pub const DYNAMODB: Service = Service {
        name: "dynamodb",
        target: "DynamoDB_20120810",
        version: "1.0",
        profile_key: "dynamodb",
        endpoint: Variable("AWS_ENDPOINT_URL_DYNAMODB"),
        local: Some(Local {
            switch: Variable("DYNAMODB_LOCAL"),
            address: Variable("DYNAMODB_ENDPOINT_URL"),
            default: Some("http://localhost:8000"),
        }),
    };
    /// Secrets Manager.
    pub const SECRETSMANAGER: Service = Service {
        name: "secretsmanager",
        target: "secretsmanager",
        version: "1.1",
        profile_key: "secrets_manager",
        endpoint: Variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        local: Some(Local {
            switch: Variable("SECRETSMANAGER_LOCAL"),
            address: Variable("SECRETSMANAGER_ENDPOINT_URL"),
            default: None,
        }),
    };
    /// Certificate Manager.
    pub const ACM: Service = Service {
        name: "acm",
        target: "CertificateManager",
        version: "1.1",
        profile_key: "acm",
        endpoint: Variable("AWS_ENDPOINT_URL_ACM"),
        local: Some(Local {
            switch: Variable("ACM_LOCAL"),
            address: Variable("ACM_ENDPOINT_URL"),
            default: None,
        }),
    };
    /// The service that gives temporary credentials. Its calls are not in JSON: only its address is
    /// found here.
    pub(crate) const STS: Service = Service {
        name: "sts",
        target: "",
        version: "",
        profile_key: "sts",
        endpoint: Variable("AWS_ENDPOINT_URL_STS"),
        local: None,
    };
}
