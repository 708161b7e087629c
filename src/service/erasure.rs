//! Erasure of a customer, on one business number or on all.

use crate::{
    engine::{Result, gate::Gate, pair::PhoneNumberId},
    proto as pb,
    service::convert,
};

pub(crate) async fn forget(
    gate: &Gate,
    request: pb::ForgetCustomerRequest,
) -> Result<pb::ForgetCustomerResponse> {
    let customer = convert::customer(request.customer, "customer")?;
    let number = match request.phone_number_id.as_str() {
        "" => None,
        id => Some(PhoneNumberId::parse(id, "phone_number_id")?),
    };
    let pairs_forgotten = gate.forget(number.as_ref(), &customer).await?;
    // Whose is not said: the log outlives the customer's data.
    tracing::info!(
        pairs_forgotten,
        phone_number_id = number.as_ref().map(PhoneNumberId::as_str),
        "customer forgotten"
    );
    Ok(pb::ForgetCustomerResponse { pairs_forgotten })
}
