//! Business numbers: what is known about one, and setting it by hand.

use crate::{
    engine::{Result, fact::NumberReport, gate::Gate, pair::PhoneNumberId},
    proto as pb,
    service::convert,
};

pub(crate) async fn get(
    gate: &Gate,
    request: pb::GetBusinessNumberRequest,
) -> Result<pb::GetBusinessNumberResponse> {
    let business_number = Some(step(gate, request.phone_number_id, None).await?);
    Ok(pb::GetBusinessNumberResponse { business_number })
}

pub(crate) async fn update(
    gate: &Gate,
    mut request: pb::UpdateBusinessNumberRequest,
) -> Result<pb::UpdateBusinessNumberResponse> {
    let phone_number_id = std::mem::take(&mut request.phone_number_id);
    let report = convert::number_report(request)?;
    let business_number = Some(step(gate, phone_number_id, report).await?);
    Ok(pb::UpdateBusinessNumberResponse { business_number })
}

async fn step(
    gate: &Gate,
    phone_number_id: String,
    report: Option<NumberReport>,
) -> Result<pb::BusinessNumber> {
    let number = PhoneNumberId::parse(&phone_number_id, "phone_number_id")?;
    let reply = gate.number(&number, report).await?;
    let profile = gate.profiles().of(&number).name.clone();
    Ok(convert::business_number(phone_number_id, profile, reply))
}
