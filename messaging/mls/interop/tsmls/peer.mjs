// ts-mls as a program: one request as a line of JSON on standard input, one answer as a line on standard output; see ../pipe.go.
// Where ts-mls 1.6.4 departs from RFC 9420 or has no function, the way round it is here and listed in ../README.md.
import { createInterface } from "node:readline";
import {
  createApplicationMessage, createCommit, createGroup, createProposal, decodeMlsMessage, encodeMlsMessage,
  generateKeyPackage, joinGroup, joinGroupExternal, makePskIndex, mlsExporter, processPrivateMessage, processPublicMessage,
  proposeAddExternal, defaultCapabilities,
} from "ts-mls";
import { defaultClientConfig } from "ts-mls/clientConfig.js";
import { createGroupInfo } from "ts-mls/createCommit.js";
import { getCiphersuiteFromId, getCiphersuiteNameFromId } from "ts-mls/crypto/ciphersuite.js";
import { getCiphersuiteImpl } from "ts-mls/crypto/getCiphersuiteImpl.js";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { signLeafNodeCommit } from "ts-mls/leafNode.js";
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls/ratchetTree.js";
import { makeResumptionPsk } from "ts-mls/resumption.js";

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (base64) => new Uint8Array(Buffer.from(base64 ?? "", "base64"));
const base64 = (b) => (b === undefined ? undefined : Buffer.from(b).toString("base64"));
const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

const clients = new Map();
let last = 0;

const config = {
  ...defaultClientConfig,
  keyPackageEqualityConfig: {
    ...defaultClientConfig.keyPackageEqualityConfig,
    // Who joins again has a new signature key: what stays is the identity.
    compareKeyPackageToLeafNode: (kp, leaf) => same(kp.leafNode.credential.identity, leaf.credential.identity),
  },
};

const suites = new Map();

// suite returns the algorithms of a number. external_pub is a vector (§12.4.3.2); ts-mls takes it for a bare key.
async function suite(number) {
  if (!suites.has(number)) {
    const cs = await getCiphersuiteImpl(getCiphersuiteFromId(number));
    const size = (await cs.hpke.exportPublicKey((await cs.hpke.generateKeyPair()).publicKey)).length;
    const header = vector(new Uint8Array(size)).length - size;
    const importPublicKey = (key) => cs.hpke.importPublicKey(key.length === size + header ? key.subarray(header) : key);
    suites.set(number, { ...cs, number, hpke: { ...cs.hpke, importPublicKey } });
  }
  return suites.get(number);
}

const numberOf = async (name) => {
  for (let n = 1; n < 256; n++) if (getCiphersuiteNameFromId(n) === name) return n;
  throw new Error(`suite ${name}`);
};

function vector(b) {
  const n = b.length;
  const head = n < 64 ? [n] : n < 16384 ? [0x40 | (n >> 8), n & 255] : [0x80 | (n >> 24), (n >> 16) & 255, (n >> 8) & 255, n & 255];
  return Uint8Array.from([...head, ...b]);
}

const encode = (content) => encodeMlsMessage({ version: "mls10", ...content });

function decode(b) {
  const decoded = decodeMlsMessage(b, 0);
  if (decoded === undefined || decoded[1] !== b.length) throw new Error("not an MLSMessage");
  return decoded[0];
}

const extensionNames = { 1: "application_id", 2: "ratchet_tree", 3: "required_capabilities", 4: "external_pub", 5: "external_senders" };
const extensions = (list) => (list ?? []).map((e) => ({ extensionType: extensionNames[e.type] ?? e.type, extensionData: bytes(e.data) }));

async function keyPackage(client, cs) {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const lifetime = { notBefore: now - 3600n, notAfter: now + 28n * 86400n };
  const capabilities = defaultCapabilities();
  const { publicPackage, privatePackage } = await generateKeyPackage(
    { credentialType: "basic", identity: new TextEncoder().encode(client.identity) }, capabilities, lifetime, [], cs);
  return { public: publicPackage, private: privatePackage, ref: await makeKeyPackageRef(publicPackage, cs.hash), cs };
}

function leaves(state) {
  return state.ratchetTree.flatMap((n, i) => (n?.nodeType === "leaf" ? [{ index: i / 2, identity: text(n.leaf.credential.identity), leaf: n.leaf }] : []));
}

async function proposal(group, p) {
  const { state, cs } = group;
  switch (p.type) {
    case "add":
      return { proposalType: "add", add: { keyPackage: decode(bytes(p.keyPackage)).keyPackage } };
    case "remove": {
      const member = leaves(state).find((l) => l.identity === p.removed);
      if (member === undefined) throw new Error(`no member ${p.removed}`);
      return { proposalType: "remove", remove: { removed: member.index } };
    }
    case "update": {
      // ts-mls makes no Update: here is one, and its private key waits in the group for the commit.
      const { leaf } = leaves(state).find((l) => l.index === state.privatePath.leafIndex);
      const keys = await cs.hpke.generateKeyPair();
      group.update = await cs.hpke.exportPrivateKey(keys.privateKey);
      const tbs = {
        leafNodeSource: "update", hpkePublicKey: await cs.hpke.exportPublicKey(keys.publicKey), signaturePublicKey: leaf.signaturePublicKey,
        credential: leaf.credential, capabilities: leaf.capabilities, extensions: leaf.extensions,
        groupId: state.groupContext.groupId, leafIndex: state.privatePath.leafIndex,
      };
      return { proposalType: "update", update: { leafNode: await signLeafNodeCommit(tbs, state.signaturePrivateKey, cs.signature) } };
    }
    case "externalPSK":
      return psk({ psktype: "external", pskId: bytes(p.psk), pskNonce: cs.rng.randomBytes(cs.kdf.size) });
    case "resumptionPSK":
      return psk({
        psktype: "resumption", usage: "application", pskGroupId: state.groupContext.groupId, pskEpoch: BigInt(p.epoch),
        pskNonce: cs.rng.randomBytes(cs.kdf.size),
      });
    case "groupContextExtensions":
      return { proposalType: "group_context_extensions", groupContextExtensions: { extensions: extensions(p.extensions) } };
    case "reinit":
      return {
        proposalType: "reinit",
        reinit: { groupId: bytes(p.groupID), version: "mls10", cipherSuite: getCiphersuiteNameFromId(p.suite), extensions: extensions(p.extensions) },
      };
  }
  throw new Error(`proposal ${p.type}`);
}

const psk = (preSharedKeyId) => ({ proposalType: "psk", psk: { preSharedKeyId } });

function enter(client, cs, state) {
  client.groups.set(++last, { cs, state });
  return last;
}

async function process(client, group, message) {
  const index = makePskIndex(group.state, client.psks);
  const take = (state) =>
    message.wireformat === "mls_public_message"
      ? processPublicMessage(state, message.publicMessage, index, group.cs)
      : processPrivateMessage(state, message.privateMessage, index, group.cs); // processMessage would forget the PSKs
  try {
    return await take(group.state);
  } catch (e) {
    if (group.update === undefined) throw e;
    const path = group.state.privatePath;
    return await take({ ...group.state, privatePath: { ...path, privateKeys: { ...path.privateKeys, [path.leafIndex * 2]: group.update } } });
  }
}

const operations = {
  async client(r) {
    clients.set(++last, { identity: r.identity, private: r.private === true, packages: [], psks: {}, groups: new Map() });
    return { id: last };
  },
  async close(r) {
    clients.delete(r.client);
    return {};
  },
  async keyPackage(r, client) {
    const p = await keyPackage(client, await suite(r.suite));
    client.packages.push(p);
    return { message: encode({ wireformat: "mls_key_package", keyPackage: p.public }) };
  },
  async storePSK(r, client) {
    client.psks[r.key] = bytes(r.secret);
    return {};
  },
  async create(r, client) {
    const cs = await suite(r.suite);
    const p = await keyPackage(client, cs);
    return { id: enter(client, cs, await createGroup(bytes(r.key), p.public, p.private, extensions(r.extensions), cs, config)) };
  },
  async join(r, client, old) {
    const { welcome } = decode(bytes(r.message));
    const at = client.packages.findIndex((p) => welcome.secrets.some((s) => same(s.newMember, p.ref)));
    if (at < 0) throw new Error("no key package fits");
    const [p] = client.packages.splice(at, 1);
    const tree = r.tree ? decodeRatchetTree(bytes(r.tree), 0)[0] : undefined;
    const state = await joinGroup(welcome, p.public, p.private, makePskIndex(old?.state, client.psks), p.cs, tree, old?.state, config);
    return { id: enter(client, p.cs, state) };
  },
  async joinExternal(r, client) {
    if (r.join.psks?.length > 0) throw new Error("ts-mls has no PSKs in external commits");
    const { groupInfo } = decode(bytes(r.message));
    const cs = await suite(await numberOf(groupInfo.groupContext.cipherSuite));
    const p = await keyPackage(client, cs);
    const tree = r.tree ? decodeRatchetTree(bytes(r.tree), 0)[0] : undefined;
    const { publicMessage, newState } = await joinGroupExternal(groupInfo, p.public, p.private, r.join.removePrior === true, cs, tree, config);
    return { id: enter(client, cs, newState), message: encode({ wireformat: "mls_public_message", publicMessage }) };
  },
  async proposeSelf(r, client) {
    const { groupInfo } = decode(bytes(r.message));
    const cs = await suite(await numberOf(groupInfo.groupContext.cipherSuite));
    const p = await keyPackage(client, cs);
    client.packages.push(p);
    return { message: encodeMlsMessage(await proposeAddExternal(groupInfo, p.public, p.private, cs)) };
  },
  async continue(r, client, old) {
    const s = r.successor;
    const cs = await suite(s.suite);
    const p = await keyPackage(client, cs);
    const state = await createGroup(bytes(s.groupID), p.public, p.private, extensions(s.extensions), cs, config);
    const resumption = makeResumptionPsk(old.state, s.branch ? "branch" : "reinit", cs);
    const adds = (s.keyPackages ?? []).map((kp) => ({ proposalType: "add", add: { keyPackage: decode(bytes(kp)).keyPackage } }));
    const result = await createCommit({ state, pskIndex: makePskIndex(old.state, {}), cipherSuite: cs },
      { extraProposals: [...adds, psk(resumption.id)], ratchetTreeExtension: !s.externalTree });
    return {
      id: enter(client, cs, result.newState), message: encode({ wireformat: "mls_welcome", welcome: result.welcome }),
      tree: s.externalTree ? encodeRatchetTree(result.newState.ratchetTree) : undefined,
    };
  },
  async state(r, client, { state }) {
    return {
      message: state.groupContext.groupId, epoch: Number(state.groupContext.epoch), data: state.keySchedule.epochAuthenticator,
      members: leaves(state).map((l) => l.identity),
    };
  },
  async export(r, client, { state, cs }) {
    return { data: await mlsExporter(state.keySchedule.exporterSecret, r.label, bytes(r.data), r.n, cs) };
  },
  async protect(r, client, group) {
    const { newState, privateMessage } = await createApplicationMessage(group.state, bytes(r.data), group.cs, bytes(r.aad));
    group.state = newState;
    return { message: encode({ wireformat: "mls_private_message", privateMessage }) };
  },
  async unprotect(r, client, group) {
    const { privateMessage } = decode(bytes(r.message));
    const result = await processPrivateMessage(group.state, privateMessage, makePskIndex(group.state, client.psks), group.cs);
    if (result.kind !== "applicationMessage") throw new Error("not an application message");
    group.state = result.newState;
    return { data: result.message, aad: privateMessage.authenticatedData };
  },
  async propose(r, client, group) {
    const p = await proposal(group, r.proposal);
    const { newState, message } = await createProposal(group.state, !client.private, p, group.cs);
    group.state = newState;
    return { message: encodeMlsMessage(message) };
  },
  async commit(r, client, group) {
    const extraProposals = [];
    for (const p of r.commit.byValue ?? []) extraProposals.push(await proposal(group, p));
    const result = await createCommit({ state: group.state, pskIndex: makePskIndex(group.state, client.psks), cipherSuite: group.cs },
      { wireAsPublicMessage: !client.private, extraProposals, ratchetTreeExtension: !r.commit.externalTree });
    group.staged = { ...result, beside: r.commit.externalTree === true };
    return { message: encodeMlsMessage(result.commit) };
  },
  async confirm(r, client, group) {
    const { newState, welcome, beside } = group.staged;
    group.state = newState;
    group.staged = group.update = undefined;
    return {
      message: welcome === undefined ? undefined : encode({ wireformat: "mls_welcome", welcome }),
      tree: beside ? encodeRatchetTree(newState.ratchetTree) : undefined,
    };
  },
  async handle(r, client, group) {
    const before = group.state.groupContext.epoch;
    group.state = (await process(client, group, decode(bytes(r.message)))).newState;
    if (group.state.groupContext.epoch !== before) group.update = undefined;
    return {};
  },
  async groupInfo(r, client, { state, cs }) {
    const keys = await cs.hpke.deriveKeyPair(state.keySchedule.externalSecret);
    const list = [{ extensionType: "external_pub", extensionData: vector(await cs.hpke.exportPublicKey(keys.publicKey)) }];
    const tree = encodeRatchetTree(state.ratchetTree);
    if (!r.external) list.push({ extensionType: "ratchet_tree", extensionData: tree });
    const groupInfo = await createGroupInfo(state.groupContext, state.confirmationTag, state, list, cs);
    return { message: encode({ wireformat: "mls_group_info", groupInfo }), tree: r.external ? tree : undefined };
  },
};

for await (const line of createInterface({ input: globalThis.process.stdin })) {
  const r = JSON.parse(line);
  let answer;
  try {
    const operation = operations[r.op];
    if (operation === undefined) throw new Error(`ts-mls has no ${r.op}`);
    const client = clients.get(r.client);
    answer = await operation(r, client, client?.groups.get(r.group));
    for (const [k, v] of Object.entries(answer)) if (v instanceof Uint8Array) answer[k] = base64(v);
  } catch (e) {
    answer = { error: `${e?.name}: ${e?.message}` };
  }
  globalThis.process.stdout.write(JSON.stringify(answer) + "\n");
}
