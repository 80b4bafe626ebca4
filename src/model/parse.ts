// Untrusted JSON in, typed values out: requests to the server and to the agent's socket, and files of resources. CNI
// requests (doors/cni/request.ts), the journal (agent/journal/record.ts) and other systems' files (ancestors) have
// parsers of their own. A refusal names the field by its path. After it a value has its shape and its names are names;
// whether it makes sense beside everything else, admission decides.
import type { TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { excessIn } from "./bounds.ts";
import { canonicalIps, cidrAround, formatIp, interfaceOf, macOf, parseCidr, parseIp, parseMac } from "./address.ts";
import { Fault } from "./fault.ts";
import { CheckRequest, InventoryAnswer } from "./check.ts";
import { checkDriver } from "./driver.ts";
import * as input from "./input.ts";
import {
  type InputOf,
  KINDS,
  type Kind,
  WRITABLE_KINDS,
  type WritableKind,
  inWords,
  isWritable,
  putOf,
  recordOf,
  writableText,
} from "./kinds.ts";
import { type Labels, checkLabels } from "./labels.ts";
import { canonicalPart } from "./kinds/network.ts";
import { clean, cutList, widest } from "./cleanText.ts";
import { DeviceFinish, OidcFinish } from "./oidc.ts";
import { JoinTokenRequest } from "./joinToken.ts";
import { LoginRequest, PasswordRequest, TokenRequest } from "./login.ts";
import { DIRECTIONS, LimitText, QosInput } from "./qos.ts";
import { PreflightRequest } from "./preflight.ts";
import { parseMode } from "./rights.ts";
import { type Value, strictObject } from "./schema.ts";
import { AUTO_NETWORK, SelectRequest, checkSelection } from "./selection.ts";
import { excessFault, invalid, shapeFault } from "./shape.ts";
import { AttachRequest, HostReport } from "./status.ts";

/** A parser of values with the schema's shape. A Fault names the field by its path, behind `where`. */
function parserOf<S extends TSchema>(schema: S) {
  const validator: Validator = Compile(schema);
  return (value: unknown, where = ""): Value<S> => {
    if (validator.Check(value)) return value as Value<S>;
    const excess = excessIn(schema, value);
    if (excess !== undefined) throw excessFault(excess, where);
    throw shapeFault(validator.Errors(value), value, where);
  };
}

/** The body of POST /v1/migrations. */
export const parseMigration = parserOf(input.MigrationRequest);
/** The body of POST /v1/securitygroups/{name}/commit. */
export const parseGroupCommit = parserOf(input.SecurityGroupCommit);
/** The body of POST /v1/holds. */
export const parseHold = parserOf(input.HoldRequest);
/** The query of DELETE /v1/holds. */
export const parseRelease = parserOf(input.HoldRelease);
/** The body of POST /v1/ipam/check. */
export const parseCheck = parserOf(CheckRequest);
/** The body of POST /v1/templates/{name}/clone and rename. */
export const parseTemplateName = parserOf(input.TemplateName);
export const parseLock = parserOf(input.LockRequest);
export const parsePreflight = parserOf(PreflightRequest);

/** The bodies of POST /v1/login, POST /v1/tokens and PUT /v1/users/{name}/password. */
export const parseLogin = parserOf(LoginRequest);
export const parseTokenRequest = parserOf(TokenRequest);
export const parsePassword = parserOf(PasswordRequest);
/** The body of POST /v1/jointokens. */
export const parseJoinTokenRequest = parserOf(JoinTokenRequest);
/** The bodies of POST /v1/login/oidc/finish and POST /v1/login/device/finish. */
export const parseOidcFinish = parserOf(OidcFinish);
export const parseDeviceFinish = parserOf(DeviceFinish);

/** Of requests of which more than the shape is checked. */
const shapes = {
  membership: parserOf(input.MembershipClaim),
  move: parserOf(input.MoveReport),
  join: parserOf(input.JoinRequest),
  endpoint: parserOf(input.EndpointClaim),
  endpoints: parserOf(input.EndpointClaims),
  endpointPatch: parserOf(input.EndpointPatch),
  qos: parserOf(QosInput),
  limit: parserOf(LimitText),
  instantiate: parserOf(input.InstantiateRequest),
  reserve: parserOf(input.ReserveRequest),
  hostSettings: parserOf(input.HostSettings),
  report: parserOf(HostReport),
  apply: parserOf(input.ApplyRequest),
  attach: parserOf(AttachRequest),
  answer: parserOf(InventoryAnswer),
  select: parserOf(SelectRequest),
  chown: parserOf(input.ChownRequest),
  chmod: parserOf(input.ChmodRequest),
};

/** Of what a writer says of a kind: alone, and as the body of its PUT. */
function putParsers(kind: WritableKind) {
  const { input: said } = putOf(kind);
  return { input: parserOf(said), body: parserOf(strictObject({ spec: said })) };
}
const puts = Object.fromEntries(WRITABLE_KINDS.map((kind) => [kind, putParsers(kind)])) as Readonly<
  Record<WritableKind, ReturnType<typeof putParsers>>
>;

/** The body of a kind's PUT, addresses canonical. */
export function parsePut<K extends WritableKind>(kind: K, body: unknown): InputOf<K> {
  checkFirst(kind, fieldOf(body, "spec"), "spec");
  return canonical(kind, puts[kind].body(body).spec as InputOf<K>, "spec");
}

const HOST_ADDRESSES = "write auto, or a list with an entry for each host: - {host: h1, address: 10.7.0.11/16}";

/** What the shape's own error would not say well. */
function checkFirst(kind: WritableKind, spec: unknown, where: string): void {
  const { properties } = KINDS[kind].put.input;
  const driver = fieldOf(spec, "driver");
  if ("driver" in properties && typeof driver === "string") checkDriver(driver, `${where}.driver`);
  if ("qos" in properties) checkQos(spec, where);
  if (kind === "template") checkFirst("network", fieldOf(spec, "network"), `${where}.network`);
  const addresses = fieldOf(spec, "hostAddresses");
  if ("hostAddresses" in properties && typeof addresses === "object" && !Array.isArray(addresses))
    throw invalid(`${where}.hostAddresses`, '"auto" or a list', addresses, HOST_ADDRESSES);
}

function canonical<Input>(kind: WritableKind, input: Input, where: string): Input {
  // The record gives back what it takes.
  return (putOf(kind).canonical?.(input as never, where) ?? input) as Input;
}

export function parseMembership(body: unknown): input.MembershipClaim {
  const claim = shapes.membership(body);
  return { ...claim, workload: checkName("workload", claim.workload, "workload") };
}

export function parseMoveReport(body: unknown): input.MoveReport {
  return clean(shapes.move(body));
}

/** The body of POST /v1/{kind}/{name}/chown. */
export function parseChown(body: unknown): input.ChownRequest {
  const request = shapes.chown(body);
  if (request.owner === undefined && request.group === undefined)
    throw invalid("owner", "a user, or a group", undefined, "name at least one of owner and group");
  return request;
}

/** The body of POST /v1/{kind}/{name}/chmod, as text. */
export function parseChmod(body: unknown): string {
  return parseMode(shapes.chmod(body).mode, "mode");
}

/** The body of POST /v1/hosts/{name}/join. */
export function parseJoin(host: string, body: unknown): { readonly claim: input.HostClaim; readonly csr?: string } {
  const { csr, hostPrefixes, ...claimed } = shapes.join(body);
  const claim = {
    host: checkName("host", host, "name"),
    ...clean(claimed),
    underlay: formatIp(parseIp(claimed.underlay, "underlay")),
    hostPrefixes: coveredCidrs(hostPrefixes, "hostPrefixes"),
  };
  return csr === undefined ? { claim } : { claim, csr };
}

/** The body of POST /v1/hosts/{name}/set. */
export function parseHostSettings(body: unknown): input.HostSettings {
  return withLabels(shapes.hostSettings(body), "");
}

/** The body of PATCH /v1/endpoints/{name}. */
export function parseEndpointPatch(body: unknown): input.EndpointPatch {
  checkQos(body, "");
  return withLabels(shapes.endpointPatch(body), "");
}

export function parseEndpointClaim(body: unknown): input.EndpointClaim {
  checkQos(body, "");
  return canonicalClaim(shapes.endpoint(body), "");
}

/** The body of POST /v1/endpoint-sets. */
export function parseEndpointClaims(body: unknown): input.EndpointClaim[] {
  const list = fieldOf(body, "endpoints");
  if (Array.isArray(list)) for (const [i, claim] of list.entries()) checkQos(claim, `endpoints[${i}]`);
  const { endpoints } = shapes.endpoints(body);
  return endpoints.map((claim, i) => canonicalClaim(claim, `endpoints[${i}].`));
}

function canonicalClaim(claim: input.EndpointClaim, where: string): input.EndpointClaim {
  if (claim.workload !== undefined) checkName("workload", claim.workload, `${where}workload`);
  checkSelection(claim, where);
  return {
    ...withLabels(claim, where),
    ...(claim.addresses === undefined ? {} : { addresses: canonicalIps(claim.addresses, `${where}addresses`) }),
    ...(claim.mac === undefined ? {} : { mac: parseMac(claim.mac, `${where}mac`) }),
  };
}

/** The body of POST /v1/networks/{name}/reservations. */
export function parseReserve(body: unknown): input.ReserveRequest {
  const request = shapes.reserve(body);
  return request.first === undefined ? request : { ...request, first: parseAddressOrMac(request.first, "first") };
}

/** The body of POST /v1/networks/select. */
export function parseSelect(body: unknown): SelectRequest {
  const request = shapes.select(body);
  checkSelection(request);
  return request;
}

/** The body of POST /v1/templates/{name}/instantiate. */
export function parseInstantiate(body: unknown): input.InstantiateRequest {
  const said = fieldOf(body, "network");
  if (said !== undefined) checkFirst("network", said, "network");
  const { network, ...request } = shapes.instantiate(body);
  return network === undefined ? request : { ...request, network: canonicalPart(network, "network") };
}

/** What `weft attach` asks of an agent. */
export function parseAttach(body: unknown): AttachRequest {
  checkQos(body, "");
  const request = withLabels(shapes.attach(body), "");
  if (request.owner !== undefined) checkName("endpoint", request.owner, "owner");
  if (request.workload !== undefined) checkName("workload", request.workload, "workload");
  checkSelection(request);
  return request;
}

/** The body of PUT /v1/hosts/{name}/report; it must name the same host. */
export function parseReport(host: string, body: unknown): HostReport {
  const report = shapes.report(body);
  if (report.host !== host) throw invalid("host", `"${host}", as in the path`, report.host, "report for one host only");
  const { hostPrefixes, ...said } = report;
  const { errors, conditions, ...rest } = clean(said);
  const lists = { errors: cutList(errors), conditions: cutList(conditions) };
  return { ...rest, ...lists, hostPrefixes: coveredCidrs(hostPrefixes, "hostPrefixes") };
}

/** The body of POST /v1/hosts/{name}/inventory; it must name the same host. */
export function parseInventory(host: string, body: unknown): InventoryAnswer {
  const answer = shapes.answer(body);
  const named = answer.inventory.host;
  if (named !== host) throw invalid("inventory.host", `"${host}", as in the path`, named, "answer for one host only");
  return clean(answer);
}

/** The body of POST /v1/apply. */
export function parseApply(body: unknown): input.ApplyRequest {
  const resources = fieldOf(body, "resources");
  // A union's own error says only "none of these fit"; looked at one by one, each says which field is wrong.
  if (Array.isArray(resources)) for (const [i, item] of resources.entries()) checkItem(item, `resources[${i}]`);
  const request: input.ApplyRequest = shapes.apply(body);
  return {
    ...request,
    resources: request.resources.map(
      (item, i) => ({ ...item, spec: canonical(item.kind, item.spec, `resources[${i}].spec`) }) as input.ApplyItem,
    ),
  };
}

function checkItem(item: unknown, where: string): void {
  const kind = fieldOf(item, "kind");
  if (!isWritable(kind)) {
    const kinds = inWords(
      WRITABLE_KINDS.map((each) => `"${each}"`),
      "or",
    );
    throw invalid(`${where}.kind`, kinds, kind, `apply takes ${writableText()}`);
  }
  if (typeof fieldOf(item, "name") !== "string")
    throw invalid(`${where}.name`, "a string", fieldOf(item, "name"), "give it a name");
  const spec = fieldOf(item, "spec");
  checkFirst(kind, spec, `${where}.spec`);
  puts[kind].input(spec, `${where}.spec`);
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,252}$/;
/** Words that container runtimes understand as something else (DC/OS refuses the same four). */
const RESERVED: ReadonlySet<string> = new Set(["host", "bridge", "default", "none"]);

/** The name itself; a Fault `name-invalid` or, for networks and VRFs, `name-reserved`. */
export function checkName(kind: Kind | "workload", name: string, where: string): string {
  if (!NAME.test(name)) {
    throw new Fault("name-invalid", {
      what: `"${name.slice(0, 80)}" cannot be the name of ${kind === "endpoint" ? "an endpoint" : `a ${kind}`}`,
      where,
      why: "a name has 1 to 253 letters, digits, dots, dashes and underscores, and begins with a letter or digit",
      fix: "choose another name",
    });
  }
  if (kind !== "workload" && recordOf(kind).hasReservedNames === true && RESERVED.has(name)) {
    throw new Fault("name-reserved", {
      what: `"${name}" cannot be the name of a ${kind}`,
      where,
      why: "container runtimes give it a meaning of their own",
      fix: `choose a name other than ${[...RESERVED].join(", ")}`,
    });
  }
  if (kind === "network" && name === AUTO_NETWORK) {
    throw new Fault("name-reserved", {
      what: `"${name}" cannot be the name of a network`,
      where,
      why: "an attach writes it for any network that fits",
      fix: "choose another name",
    });
  }
  return name;
}

/** The labels checked, and in order. */
function withLabels<T extends { readonly labels?: Labels }>(given: T, where: string): T {
  return given.labels === undefined ? given : { ...given, labels: checkLabels(given.labels, `${where}labels`) };
}

/** The canonical text of an IP address or a MAC. */
export function parseAddressOrMac(text: string, where: string): string {
  return macOf(text) === undefined ? formatIp(parseIp(text, where)) : parseMac(text, where);
}

/** A host's address with its length, or a route: either way the network that it covers. */
function coveredCidrs(texts: readonly string[], where: string): string[] {
  return widest(
    texts.map((text, i) => {
      const spread = interfaceOf(text);
      return spread === undefined ? parseCidr(text, `${where}[${i}]`) : cidrAround(spread.ip, spread.length);
    }),
  );
}

/** Each limit by itself: the error of "one of these forms" would not say which field is wrong. */
function checkQos(holder: unknown, where: string): void {
  const ranges = fieldOf(holder, "ranges");
  if (Array.isArray(ranges)) for (const [i, range] of ranges.entries()) checkQos(range, `${where}.ranges[${i}]`);
  const qos = fieldOf(holder, "qos");
  if (qos === undefined) return;
  const at = where === "" ? "qos" : `${where}.qos`;
  for (const direction of DIRECTIONS) {
    const said = fieldOf(qos, direction);
    if (typeof said === "object") shapes.limit(said, `${at}.${direction}`);
  }
  shapes.qos(qos, at);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as { readonly [name: string]: unknown })[name]
    : undefined;
}
