//! OpenMLS as a program: one request as a line of JSON on standard input, one answer as a line on standard output; see ../pipe.go.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::rc::Rc;

use base64::{Engine, prelude::BASE64_STANDARD};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::tls_codec::{DeserializeBytes, Serialize as _};
use openmls::prelude::*;
use openmls::schedule::psk::{ExternalPsk, PreSharedKeyId, Psk, ResumptionPsk, ResumptionPskUsage};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde::Deserialize;
use serde_json::{Map, Value, json};

type Error = Box<dyn std::error::Error>;
type Answer = Result<Value, Error>;

/// Whatever fails, said with all that the library knows of it.
fn failed(what: &str) -> impl Fn(&dyn std::fmt::Debug) -> Error + '_ {
    move |e| format!("{what}: {e:?}").into()
}

macro_rules! check {
    ($e:expr, $what:expr) => {
        $e.map_err(|e| failed($what)(&e))?
    };
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    op: String,
    client: u64,
    group: u64,
    identity: String,
    private: bool,
    suite: u16,
    key: String,
    secret: String,
    message: String,
    tree: String,
    data: String,
    aad: String,
    label: String,
    n: u32,
    external: bool,
    extensions: Vec<ExtensionIn>,
    proposal: ProposalIn,
    commit: CommitIn,
    join: JoinIn,
}

#[derive(Deserialize, Clone)]
struct ExtensionIn {
    #[serde(rename = "type")]
    kind: u16,
    #[serde(default)]
    data: Option<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "camelCase")]
struct ProposalIn {
    #[serde(rename = "type")]
    kind: String,
    key_package: String,
    removed: String,
    psk: String,
    epoch: u64,
    extensions: Vec<ExtensionIn>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct CommitIn {
    by_value: Vec<ProposalIn>,
    force_path: bool,
    external_tree: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct JoinIn {
    psks: Vec<String>,
    remove_prior: bool,
}

fn bytes(s: &str) -> Result<Vec<u8>, Error> {
    Ok(BASE64_STANDARD.decode(s)?)
}

fn text(b: impl AsRef<[u8]>) -> Value {
    Value::String(BASE64_STANDARD.encode(b))
}

struct Client {
    identity: String,
    private: bool,
    provider: OpenMlsRustCrypto,
    signers: HashMap<u16, Rc<SignatureKeyPair>>,
    groups: HashMap<u64, Member>,
    senders: HashMap<u16, SignatureKeyPair>,
}

struct Member {
    group: MlsGroup,
    welcome: Option<Vec<u8>>,
    beside: bool,
}

impl Client {
    fn signer(&mut self, suite: Ciphersuite) -> Result<(Rc<SignatureKeyPair>, CredentialWithKey), Error> {
        let scheme = suite.signature_algorithm();
        if !self.signers.contains_key(&(scheme as u16)) {
            self.signers.insert(scheme as u16, Rc::new(check!(SignatureKeyPair::new(scheme), "signature key")));
        }
        let pair = self.signers[&(scheme as u16)].clone();
        let credential = CredentialWithKey {
            credential: BasicCredential::new(self.identity.clone().into_bytes()).into(),
            signature_key: pair.to_public_vec().into(),
        };
        Ok((pair, credential))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::for_provider(self.provider.crypto())
    }

    fn wire(&self) -> WireFormatPolicy {
        if self.private { MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY } else { MIXED_PLAINTEXT_WIRE_FORMAT_POLICY }
    }

    fn config(&self) -> MlsGroupJoinConfig {
        MlsGroupJoinConfig::builder()
            .wire_format_policy(self.wire())
            .max_past_epochs(4)
            .number_of_resumption_psks(8)
            .use_ratchet_tree_extension(true)
            .build()
    }

    fn key_package(&mut self, suite: Ciphersuite) -> Result<KeyPackage, Error> {
        let (pair, credential) = self.signer(suite)?;
        let bundle = KeyPackage::builder()
            .key_package_lifetime(Lifetime::new(28 * 86400))
            .leaf_node_capabilities(self.capabilities())
            .build(suite, &self.provider, &*pair, credential);
        Ok(check!(bundle, "key package").into_key_package())
    }
}

fn suite(n: u16) -> Result<Ciphersuite, Error> {
    Ciphersuite::try_from(n).map_err(|e| failed("suite")(&e))
}

fn message(s: &str) -> Result<MlsMessageBodyIn, Error> {
    Ok(check!(MlsMessageIn::tls_deserialize_exact_bytes(&bytes(s)?), "MLSMessage").extract())
}

fn key_package(client: &Client, s: &str) -> Result<KeyPackage, Error> {
    match message(s)? {
        MlsMessageBodyIn::KeyPackage(kp) => Ok(check!(kp.validate(client.provider.crypto(), ProtocolVersion::Mls10), "key package")),
        _ => Err("not a key package".into()),
    }
}

fn group_info(s: &str) -> Result<VerifiableGroupInfo, Error> {
    match message(s)? {
        MlsMessageBodyIn::GroupInfo(info) => Ok(info),
        _ => Err("not a GroupInfo".into()),
    }
}

fn vector(b: &[u8]) -> Vec<u8> {
    VLBytes::from(b.to_vec()).tls_serialize_detached().expect("a short vector")
}

fn extensions(list: &[ExtensionIn]) -> Result<Extensions<GroupContext>, Error> {
    let mut all = Vec::new();
    for e in list {
        all.extend(e.kind.to_be_bytes());
        all.extend(vector(&bytes(e.data.as_deref().unwrap_or_default())?));
    }
    Ok(check!(Extensions::<GroupContext>::tls_deserialize_exact_bytes(&vector(&all)), "extensions"))
}

fn psk_id(client: &Client, suite: Ciphersuite, psk: Psk) -> Result<PreSharedKeyId, Error> {
    PreSharedKeyId::new(suite, client.provider.rand(), psk).map_err(|e| failed("PSK id")(&e))
}

fn leaf_of<'a>(mut members: impl Iterator<Item = openmls::prelude::Member> + 'a, identity: &str) -> Result<LeafNodeIndex, Error> {
    members
        .find(|m| m.credential.serialized_content() == identity.as_bytes())
        .map(|m| m.index)
        .ok_or_else(|| format!("no member {identity}").into())
}

fn tree(s: &str) -> Result<Option<RatchetTreeIn>, Error> {
    if s.is_empty() {
        return Ok(None);
    }
    Ok(Some(check!(RatchetTreeIn::tls_deserialize_exact_bytes(&bytes(s)?), "tree")))
}

fn psk_of(client: &Client, group: &MlsGroup, p: &ProposalIn) -> Result<PreSharedKeyId, Error> {
    let psk = match p.kind.as_str() {
        "externalPSK" => Psk::External(ExternalPsk::new(bytes(&p.psk)?)),
        _ => Psk::Resumption(ResumptionPsk::new(ResumptionPskUsage::Application, group.group_id().clone(), p.epoch.into())),
    };
    psk_id(client, group.ciphersuite(), psk)
}

fn encoded(m: impl tls_codec::Serialize) -> Result<Value, Error> {
    Ok(text(check!(m.tls_serialize_detached(), "encoding")))
}

fn answer(last: &mut u64, clients: &mut HashMap<u64, Client>, r: &Request) -> Answer {
    if r.op == "client" {
        *last += 1;
        let client = Client {
            identity: r.identity.clone(),
            private: r.private,
            provider: OpenMlsRustCrypto::default(),
            signers: HashMap::new(),
            groups: HashMap::new(),
            senders: HashMap::new(),
        };
        clients.insert(*last, client);
        return Ok(json!({ "id": *last }));
    }
    if r.op == "close" {
        clients.remove(&r.client);
        return Ok(json!({}));
    }
    let mut client = clients.remove(&r.client).ok_or("no such client")?;
    let result = of_client(last, &mut client, r);
    clients.insert(r.client, client);
    result
}

fn of_client(last: &mut u64, client: &mut Client, r: &Request) -> Answer {
    let mut enter = |client: &mut Client, group: MlsGroup| {
        *last += 1;
        client.groups.insert(*last, Member { group, welcome: None, beside: false });
        *last
    };
    match r.op.as_str() {
        "keyPackage" => Ok(json!({ "message": encoded(MlsMessageOut::from(client.key_package(suite(r.suite)?)?))? })),
        "storePSK" => {
            let id = PreSharedKeyId::external(bytes(&r.key)?, Vec::new()); // stored under the PSK, not under the nonce
            check!(id.store(&client.provider, &bytes(&r.secret)?), "PSK");
            Ok(json!({}))
        }
        "create" => {
            let suite = suite(r.suite)?;
            let (pair, credential) = client.signer(suite)?;
            let group = MlsGroup::builder()
                .with_group_id(GroupId::from_slice(&bytes(&r.key)?))
                .ciphersuite(suite)
                .with_wire_format_policy(client.wire())
                .max_past_epochs(4)
                .number_of_resumption_psks(8)
                .use_ratchet_tree_extension(true)
                .lifetime(Lifetime::new(28 * 86400))
                .with_capabilities(client.capabilities())
                .with_group_context_extensions(extensions(&r.extensions)?)
                .build(&client.provider, &*pair, credential);
            Ok(json!({ "id": enter(client, check!(group, "group")) }))
        }
        "join" => {
            if r.group != 0 {
                return Err("OpenMLS joins no group that continues another".into());
            }
            let MlsMessageBodyIn::Welcome(welcome) = message(&r.message)? else { return Err("not a Welcome".into()) };
            let mut builder = check!(StagedWelcome::build_from_welcome(&client.provider, &client.config(), welcome), "Welcome").replace_old_group();
            if let Some(t) = tree(&r.tree)? {
                builder = builder.with_ratchet_tree(t);
            }
            let group = check!(check!(builder.build(), "Welcome").into_group(&client.provider), "Welcome");
            Ok(json!({ "id": enter(client, group) }))
        }
        "joinExternal" => {
            let info = group_info(&r.message)?;
            let suite = info.ciphersuite();
            if r.join.remove_prior {
                // The prior leaf is found by its signature key; the prior group would be in the way in the store.
                if let Some(old) = check!(MlsGroup::load(client.provider.storage(), info.group_id()), "store").as_mut() {
                    check!(old.delete(client.provider.storage()), "store");
                }
            } else {
                client.signers.remove(&(suite.signature_algorithm() as u16));
            }
            let (pair, credential) = client.signer(suite)?;
            let mut builder = MlsGroup::external_commit_builder().with_config(client.config());
            if let Some(t) = tree(&r.tree)? {
                builder = builder.with_ratchet_tree(t);
            }
            let mut psks = Vec::new();
            for id in &r.join.psks {
                psks.push(PreSharedKeyProposal::new(psk_id(client, suite, Psk::External(ExternalPsk::new(bytes(id)?)))?));
            }
            let capabilities = client.capabilities();
            let p = &client.provider;
            let builder = check!(builder.build_group(p, info, credential), "external commit")
                .leaf_node_parameters(LeafNodeParameters::builder().with_capabilities(capabilities).build())
                .add_psk_proposals(psks);
            let builder = check!(builder.load_psks(p.storage()), "external commit");
            let builder = check!(builder.build(p.rand(), p.crypto(), &*pair, |_| true), "external commit");
            let (group, bundle) = check!(builder.finalize(p), "external commit");
            let commit = encoded(bundle.into_commit())?;
            Ok(json!({ "id": enter(client, group), "message": commit }))
        }
        "proposeSelf" => {
            let info = group_info(&r.message)?;
            let kp = client.key_package(info.ciphersuite())?;
            let (pair, _) = client.signer(info.ciphersuite())?;
            let m = JoinProposal::new::<<OpenMlsRustCrypto as OpenMlsProvider>::StorageProvider>(kp, info.group_id().clone(), info.epoch(), &*pair);
            Ok(json!({ "message": encoded(check!(m, "proposal"))? }))
        }
        "externalSender" => {
            let scheme = suite(r.suite)?.signature_algorithm();
            let pair = check!(SignatureKeyPair::new(scheme), "signature key");
            let credential: Credential = BasicCredential::new(client.identity.clone().into_bytes()).into();
            let entry = ExternalSender::new(pair.to_public_vec().into(), credential);
            client.senders.insert(scheme as u16, pair);
            Ok(json!({ "data": encoded(entry)? }))
        }
        "proposeExternal" => {
            let info = group_info(&r.message)?;
            let pair = client.senders.get(&(info.ciphersuite().signature_algorithm() as u16)).ok_or("no key")?;
            let (id, epoch, index) = (info.group_id().clone(), info.epoch(), SenderExtensionIndex::new(r.n));
            let p = &r.proposal;
            let m = match p.kind.as_str() {
                "add" => check!(ExternalProposal::new_add::<OpenMlsRustCrypto>(key_package(client, &p.key_package)?, id, epoch, pair, index), "proposal"),
                "remove" => {
                    let t = tree(&r.tree)?.ok_or("no tree")?;
                    let (public, _) = check!(
                        PublicGroup::from_external(client.provider.crypto(), client.provider.storage(), t, info, ProposalStore::new()),
                        "tree"
                    );
                    let leaf = leaf_of(public.members(), &p.removed)?;
                    check!(ExternalProposal::new_remove::<OpenMlsRustCrypto>(leaf, id, epoch, pair, index), "proposal")
                }
                "groupContextExtensions" => check!(
                    ExternalProposal::new_group_context_extensions::<OpenMlsRustCrypto>(extensions(&p.extensions)?, id, epoch, pair, index),
                    "proposal"
                ),
                other => return Err(format!("OpenMLS proposes no {other} from outside").into()),
            };
            Ok(json!({ "message": encoded(m)? }))
        }
        _ => {
            let mut member = client.groups.remove(&r.group).ok_or_else(|| format!("OpenMLS has no {}", r.op))?;
            let result = of_group(client, &mut member, r);
            client.groups.insert(r.group, member);
            result
        }
    }
}

fn of_group(client: &mut Client, member: &mut Member, r: &Request) -> Answer {
    let (pair, _) = client.signer(member.group.ciphersuite())?;
    let group = &mut member.group;
    let p = &client.provider;
    match r.op.as_str() {
        "state" => {
            let names: Vec<_> = group.members().map(|m| String::from_utf8_lossy(m.credential.serialized_content()).into_owned()).collect();
            Ok(json!({ "message": text(group.group_id().as_slice()), "epoch": group.epoch().as_u64(),
                "data": text(group.epoch_authenticator().as_slice()), "members": names }))
        }
        "export" => Ok(json!({ "data": text(check!(group.export_secret(p.crypto(), &r.label, &bytes(&r.data)?, r.n as usize), "exporter")) })),
        "protect" => {
            group.set_aad(bytes(&r.aad)?);
            Ok(json!({ "message": encoded(check!(group.create_message(p, &*pair, &bytes(&r.data)?), "message"))? }))
        }
        "unprotect" => {
            let m = check!(MlsMessageIn::tls_deserialize_exact_bytes(&bytes(&r.message)?), "MLSMessage");
            let processed = check!(group.process_message(p, check!(m.try_into_protocol_message(), "MLSMessage")), "message");
            let aad = processed.aad().to_vec();
            match processed.into_content() {
                ProcessedMessageContent::ApplicationMessage(a) => Ok(json!({ "data": text(a.into_bytes()), "aad": text(aad) })),
                _ => Err("not an application message".into()),
            }
        }
        "propose" => {
            let of = &r.proposal;
            let propose = match of.kind.as_str() {
                "add" => Propose::Add(key_package(client, &of.key_package)?),
                "remove" => Propose::Remove(leaf_of(group.members(), &of.removed)?.u32()),
                "update" => Propose::Update(LeafNodeParameters::default()),
                "externalPSK" | "resumptionPSK" => Propose::PreSharedKey(psk_of(client, group, of)?),
                "groupContextExtensions" => Propose::GroupContextExtensions(extensions(&of.extensions)?),
                other => return Err(format!("OpenMLS proposes no {other}").into()),
            };
            let (m, _) = check!(group.propose(p, &*pair, propose, ProposalOrRefType::Reference), "proposal");
            Ok(json!({ "message": encoded(m)? }))
        }
        "commit" => {
            let (mut adds, mut removals, mut psks, mut gce) = (vec![], vec![], vec![], None);
            for of in &r.commit.by_value {
                match of.kind.as_str() {
                    "add" => adds.push(key_package(client, &of.key_package)?),
                    "remove" => removals.push(leaf_of(group.members(), &of.removed)?),
                    "externalPSK" | "resumptionPSK" => psks.push(Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(psk_of(client, group, of)?)))),
                    "groupContextExtensions" => gce = Some(extensions(&of.extensions)?),
                    other => return Err(format!("OpenMLS commits no {other} by value").into()),
                }
            }
            let mut builder = group.commit_builder().force_self_update(r.commit.force_path).propose_adds(adds).propose_removals(removals).add_proposals(psks);
            if let Some(e) = gce {
                builder = check!(builder.propose_group_context_extensions(e), "commit");
            }
            let builder = check!(builder.load_psks(p.storage()), "commit").use_ratchet_tree_extension(!r.commit.external_tree);
            let builder = check!(builder.build(p.rand(), p.crypto(), &*pair, |_| true), "commit");
            let (commit, welcome, _) = check!(builder.stage_commit(p), "commit").into_messages();
            member.beside = r.commit.external_tree;
            member.welcome = match welcome {
                Some(w) => Some(check!(w.tls_serialize_detached(), "Welcome")),
                None => None,
            };
            Ok(json!({ "message": encoded(commit)? }))
        }
        "confirm" => {
            check!(group.merge_pending_commit(p), "merge");
            let mut out = Map::new();
            if let Some(w) = member.welcome.take() {
                out.insert("message".into(), text(w));
            }
            if member.beside {
                out.insert("tree".into(), encoded(group.export_ratchet_tree())?);
            }
            Ok(Value::Object(out))
        }
        "handle" => {
            let m = check!(MlsMessageIn::tls_deserialize_exact_bytes(&bytes(&r.message)?), "MLSMessage");
            let processed = check!(group.process_message(p, check!(m.try_into_protocol_message(), "MLSMessage")), "message");
            match processed.into_content() {
                ProcessedMessageContent::ProposalMessage(q) | ProcessedMessageContent::ExternalJoinProposalMessage(q) => {
                    check!(group.store_pending_proposal(p.storage(), *q), "proposal")
                }
                ProcessedMessageContent::StagedCommitMessage(c) => check!(group.merge_staged_commit(p, *c), "commit"),
                _ => return Err("neither proposal nor commit".into()),
            }
            Ok(json!({}))
        }
        "groupInfo" => {
            let info = check!(group.export_group_info(p.crypto(), &*pair, !r.external), "GroupInfo");
            let mut out = json!({ "message": encoded(info)? });
            if r.external {
                out["tree"] = encoded(group.export_ratchet_tree())?;
            }
            Ok(out)
        }
        other => Err(format!("OpenMLS has no {other}").into()),
    }
}

fn main() -> Result<(), Error> {
    let (mut clients, mut last) = (HashMap::new(), 0);
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(Error::from)
            .and_then(|r| answer(&mut last, &mut clients, &r))
            .unwrap_or_else(|e| json!({ "error": e.to_string() }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
