//! Where a service is.

use crate::{Options, Service};

/// The names below which the services of a region are, by the beginning of its name.
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "amazonaws.com", "api.aws"),
];

/// The address of a service in a region.
pub(crate) fn address(service: &Service, region: &str, options: &Options) -> String {
    let of_region = PARTITIONS.iter().find(|(head, ..)| region.starts_with(head));
    let (plain, dual) = of_region.map_or(("", ""), |(_, plain, dual)| (plain, dual));
    let below = if options.dual_stack { dual } else { plain };
    let fips = if options.fips { "-fips" } else { "" };
    format!("https://{}{fips}.{region}.{below}", service.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_the_names_of_service_and_region() {
        let plain = Options::default();
        let of = |region: &str| address(&Service::SSM, region, &plain);
        assert_eq!(of("eu-west-1"), "https://ssm.eu-west-1.amazonaws.com");
        assert_eq!(of("cn-north-1"), "https://ssm.cn-north-1.amazonaws.com.cn");
        assert_eq!(of("us-gov-west-1"), "https://ssm.us-gov-west-1.amazonaws.com");
        let fips = Options { fips: true, dual_stack: true, ..plain.clone() };
        let of_fips = address(&Service::SSM, "us-east-2", &fips);
        assert_eq!(of_fips, "https://ssm-fips.us-east-2.api.aws");
    }
}
