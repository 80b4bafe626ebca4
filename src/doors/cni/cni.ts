// The CNI commands (specification 1.1.0, back to 0.3.1) as calls of the agent, and the answer to an ADD as each version
// has it. The plugin that a runtime executes (cni/weft-cni.c) only carries a request to the agent's socket and the
// answer back; everything else is in this folder.
import { readFileSync } from "node:fs";
import type { Attacher } from "../../agent/endpoint/attach.ts";
import type { Inspection } from "../../agent/endpoint/inspection.ts";
import type { Entry, Journal } from "../../agent/journal/journal.ts";
import type { Rounds } from "../../agent/reconcile/rounds.ts";
import type { SnapshotSource } from "../../agent/reconcile/snapshotSource.ts";
import type { Answer, Route } from "../../agent/socket/localApi.ts";
import { WEFT_ROUTE_METRIC } from "../../datapath/kinds/entries.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { attemptOf } from "../../files/files.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { defined } from "../../model/defined.ts";
import { vrfsOn } from "../../model/carrying.ts";
import { endpointName, type Network } from "../../model/resource.ts";
import { AUTO_NETWORK, checkSelection } from "../../model/selection.ts";
import type { Attachment, AttachRequest, HostReport } from "../../model/status.ts";
import { isObject, type Json } from "./fold.ts";
import { CniRefusal, errorJson, refusalOf } from "./refusal.ts";
import {
  type Config,
  decode,
  type Dns,
  partsOf,
  type Request,
  requestOf,
  type Version,
  versionIn,
  VERSIONS,
} from "./request.ts";

export type CniOptions = {
  readonly host: string;
  readonly attacher: Pick<Attacher, "attach" | "detach">;
  readonly inspection: Pick<Inspection, "shown" | "differences" | "networkFor">;
  readonly snapshots: Pick<SnapshotSource, "current" | "known" | "local" | "isSynced">;
  readonly rounds: Pick<Rounds, "pokeFull">;
  readonly report: () => HostReport;
  readonly journal: Pick<Journal, "entries">;
  readonly kernel: Pick<Kernel, "netnsId" | "ownNetns" | "linkNames">;
  readonly clock: Clock;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

const NEWEST = "1.1.0";

/** The route of the plugin. Status 200 is success, any other an error in the specification's form. */
export function cniRoute(options: CniOptions): Route {
  return { method: "POST", path: "/v1/cni", answer: (body) => answer(options, body) };
}

async function answer(options: CniOptions, body: Buffer): Promise<Answer> {
  let version: string = NEWEST;
  try {
    const { environment, input } = partsOf(body);
    const command = environment.get("CNI_COMMAND");
    const json = jsonOf(command, input);
    version = versionIn(json);
    const request = requestOf(environment, json);
    if (request.command === "VERSION")
      return answerOf(200, JSON.stringify({ cniVersion: request.version, supportedVersions: VERSIONS }));
    if (request.netns !== "") refuseOwnNamespace(options, request);
    const result = await RUN[request.command](options, request);
    return answerOf(200, result === undefined ? "" : JSON.stringify(result));
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal.code === "internal" || refusal.code === "io") options.log("cni", { error: String(error) });
    return answerOf(500, errorJson(refusal, version));
  }
}

/** What the plugin writes to its standard output is what these resolve to. */
const RUN: Readonly<Record<Request["command"], (options: CniOptions, request: Request) => unknown>> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  STATUS: status,
  GC: collect,
};

function answerOf(status: number, body: string): Answer {
  return { status, type: "application/json", body };
}

/** VERSION may come without a configuration, and DEL must succeed whatever the configuration is. */
function jsonOf(command: string | undefined, input: string): Json {
  if (command === "VERSION" && input.trim() === "") return { cniVersion: NEWEST };
  return command === "DEL" ? (attemptOf(() => decode(input)) ?? {}) : decode(input);
}

/** A container in the host's namespace has the host's network already, and a VRF's namespace is no container's. */
function refuseOwnNamespace({ kernel }: CniOptions, { command, netns }: Request): void {
  const id = command === "DEL" ? undefined : kernel.netnsId(netns);
  const ns = id === undefined ? undefined : kernel.ownNetns(id);
  if (ns === undefined) return;
  const whose = ns === "host" ? "the host's own network namespace" : `the namespace of VRF ${ns.slice(4)}`;
  throw new CniRefusal("environment", `CNI_NETNS is invalid: "${netns}"`, `it is ${whose}`);
}

/** How long an ADD waits for an agent that has just started: longer than the agent waits for its server. */
const START_MS = 5_000;
const POLL_MS = 20;

async function started({ snapshots, clock }: CniOptions): Promise<void> {
  const isStarting = () => snapshots.current() === undefined;
  for (let waited = 0; isStarting() && waited < START_MS; waited += POLL_MS) await clock.sleep(POLL_MS);
}

async function add(options: CniOptions, request: Request): Promise<Json> {
  const { config } = request;
  await started(options);
  refuseAtOnce(options, request);
  const attachment = await options.attacher.attach(attachRequestOf(options, request), { cni: config.name });
  return resultOf(config.version, attachment, config.dns, config.prevResult);
}

/** Refuses what cannot succeed: a contradiction to the network, and a global network while the server is away. */
function refuseAtOnce({ snapshots, journal }: CniOptions, { containerId, ifname, config }: Request): void {
  const isAttached = journal.entries.get(endpointName(containerId, ifname))?.state === "attached";
  checkSelection({ ...config.selection, ...wishesOf(config) });
  if (config.network === AUTO_NETWORK && !snapshots.isSynced && !isAttached) throw serverAway();
  const network = snapshots.known()?.networks.find((one) => one.name === config.network);
  if (network === undefined) return;
  const { masquerade, ipam } = network.spec;
  if (config.ipMasq !== undefined && config.ipMasq !== masquerade) {
    const why = `network ${network.name} has masquerade ${masquerade}; leave ipMasq out, or edit the network`;
    throw new CniRefusal("unsupported", `ipMasq is not supported: ${config.ipMasq}`, why);
  }
  if (ipam === "global" && !snapshots.isSynced && !isAttached) {
    const why = "the server allocates this network's addresses and cannot be reached";
    throw new CniRefusal("try-again", `network ${network.name} takes no endpoints now`, why);
  }
}

function serverAway(): CniRefusal {
  const why = "the server selects the network and cannot be reached";
  return new CniRefusal("try-again", `network ${AUTO_NETWORK} takes no endpoints now`, why);
}

/** Root reads it, so that pods and who may read configurations need not. */
function tokenIn(file: string): string {
  const token = attemptOf(() => readFileSync(file, "utf8"))?.trim();
  if (token !== undefined && /^[\x21-\x7e]{1,1024}$/.test(token)) return token;
  const why = "it is a file with one line, readable for the agent, that the agent's host has";
  throw new CniRefusal("config", `userTokenFile: no token is in ${file.slice(0, 200)}`, why);
}

/** What an ADD asks of the network itself. */
function wishesOf({ network, slice, addresses }: Config) {
  return { network, ...defined({ slice, addresses: addresses.length === 0 ? undefined : addresses }) };
}

function attachRequestOf(options: CniOptions, { containerId, netns, ifname, config }: Request): AttachRequest {
  const { mac, qos, selection, userTokenFile, labels } = config;
  const defaultRoute = config.defaultRoute ?? defaultRouteFor(options, netns, ifname, config);
  return {
    ...wishesOf(config),
    ...selection,
    ...(userTokenFile === undefined ? {} : { userToken: tokenIn(userTokenFile) }),
    netns,
    ifname,
    owner: containerId,
    ...(mac === undefined ? {} : { mac }),
    ...defined({ qos, labels }),
    ...(defaultRoute === undefined ? {} : { defaultRoute }),
  };
}

/** False after an earlier plugin's default route, and for a further interface. Undefined: the agent decides. */
function defaultRouteFor(
  { kernel }: CniOptions,
  netns: string,
  ifname: string,
  { prevResult }: Config,
): boolean | undefined {
  const isDefault = (dst: unknown) => dst === "0.0.0.0/0" || dst === "::/0";
  if (listIn(prevResult, "routes").some((route) => isDefault(route["dst"]))) return false;
  if (ifname === "eth0") return undefined;
  const others = kernel.linkNames(netns as Ns).filter((name) => name !== "lo" && name !== ifname);
  return others.some((name) => name < ifname) ? false : undefined;
}

/** Whether a request means this entry of the journal: another configuration may have an endpoint of the same name. */
function isMeant({ cni, endpoint: { spec } }: Entry, { containerId, ifname, config }: Request): boolean {
  // An adopted endpoint does not say which configuration it was made by.
  const [ours, said] = cni === undefined ? [spec.network, config.network] : [cni, config.name];
  const isOurs = said === "" || said === ours || (cni === undefined && said === AUTO_NETWORK);
  return isOurs && spec.owner === containerId && spec.ifname === ifname;
}

/** Succeeds without a namespace, and without an ADD before: then there is nothing to delete. */
async function del({ attacher }: CniOptions, request: Request): Promise<void> {
  await attacher.detach(endpointName(request.containerId, request.ifname), (entry) => isMeant(entry, request));
}

async function check(options: CniOptions, request: Request): Promise<void> {
  const { containerId, ifname, netns, config } = request;
  const entry = options.journal.entries.get(endpointName(containerId, ifname));
  if (entry?.state !== "attached" || !isMeant(entry, request))
    throw new CniRefusal("container-unknown", `container ${containerId} has no ${ifname} in network ${config.network}`);
  const { attachment, objects } = options.inspection.shown(entry.endpoint);
  const network = options.snapshots.known()?.networks.find(({ name }) => name === attachment.spec.network);
  const wrong = [
    ...(entry.netnsId === options.kernel.netnsId(netns) ? [] : [`${netns} is another network namespace than at ADD`]),
    ...lacking(config.prevResult ?? {}, attachment),
    ...(await options.inspection.differences(entry.endpoint, objects)).map((line) => `it takes: ${line}`),
    ...(network === undefined ? [] : unreachable(options, network)),
  ];
  if (wrong.length === 0) return;
  options.rounds.pokeFull();
  const what = `${ifname} of container ${containerId} is not as it should be`;
  throw new CniRefusal("not-as-it-should-be", what, wrong.join("; "));
}

/** Reads nothing from the kernel: runtimes ask every few seconds. */
function status(options: CniOptions, { config }: Request): void {
  if (config.network === AUTO_NETWORK) {
    if (options.snapshots.isSynced) return;
    throw new CniRefusal("not-available", "the server cannot be reached, and it selects the network");
  }
  let network: Network;
  try {
    network = options.inspection.networkFor(config.network, config.slice);
  } catch (error) {
    const { message, details } = refusalOf(error);
    throw new CniRefusal("not-available", message, details);
  }
  const errors = unreachable(options, network);
  if (errors.length === 0) return;
  throw new CniRefusal("limited-connectivity", `network ${network.name} is not whole on this host`, errors.join("; "));
}

/** What the last round could not do, if that affects the network on this host. */
function unreachable({ report, snapshots, host }: CniOptions, { name, spec }: Network): readonly string[] {
  const { networks, errors } = report();
  const snapshot = snapshots.known();
  if (errors.length === 0 || networks.includes(name) || snapshot === undefined) return [];
  return vrfsOn(snapshots.local(snapshot), host).has(spec.vrf) ? errors : [];
}

/** Goes on after an error, and reports at the end what could not be removed. */
async function collect(options: CniOptions, { config: { name, valid = [] } }: Request): Promise<void> {
  const stays = new Set(valid.map(({ containerId, ifname }) => endpointName(containerId, ifname)));
  // A configuration without a name has no endpoints.
  const isOurs = ({ cni }: Entry) => cni === name;
  const names = [...options.journal.entries.values()].filter(isOurs).map(({ endpoint }) => endpoint.name);
  const leftovers = names.filter((endpoint) => !stays.has(endpoint));
  const results = await Promise.allSettled(leftovers.map((endpoint) => options.attacher.detach(endpoint, isOurs)));
  const failed = results.filter((result) => result.status === "rejected").map(({ reason }) => refusalOf(reason));
  const [first, ...others] = failed;
  if (first === undefined) return;
  throw new CniRefusal(first.code, first.message, [first.details, ...others.map(({ message }) => message)].join("; "));
}

/** An earlier result, of a plugin before Weft, stays as it is; its entries keep their places, so indexes stay right. */
export function resultOf(version: Version, attachment: Attachment, dns: Dns, before: Json | undefined): Json {
  const interfaces = listIn(before, "interfaces");
  const { spec, mtu, interfaceAddresses, gateways, routes } = attachment;
  const own = {
    name: spec.ifname,
    mac: spec.mac,
    ...(version === "1.1.0" ? { mtu } : {}),
    sandbox: spec.netns,
  };
  const ips = interfaceAddresses.map((address) => {
    const isSix = address.includes(":");
    const gateway = gateways.find((one) => one.includes(":") === isSix);
    return {
      ...(isBefore1(version) ? { version: isSix ? "6" : "4" } : {}),
      interface: interfaces.length,
      address,
      ...(gateway === undefined ? {} : { gateway }),
    };
  });
  const { dns: dnsBefore } = before ?? {};
  return {
    ...before,
    cniVersion: version,
    interfaces: [...interfaces, own],
    ips: [...listIn(before, "ips"), ...ips],
    routes: [...listIn(before, "routes"), ...routes.map((route) => routeOf(route, version))],
    // The network's own name servers count only if no others were given.
    dns: {
      ...(attachment.dns.length === 0 ? {} : { nameservers: attachment.dns }),
      ...(isObject(dnsBefore) ? dnsBefore : {}),
      ...dns,
    },
  };
}

/** `10.7.0.0/16 via 10.7.1.1`. */
function routeOf(text: string, version: Version): Json {
  const [dst = "", gw = ""] = text.split(" via ");
  return { dst, gw, ...(version === "1.1.0" ? { priority: WEFT_ROUTE_METRIC } : {}) };
}

/** Before 1.0.0 an address carried its family. */
function isBefore1(version: Version): boolean {
  return version.startsWith("0.");
}

function listIn(result: Json | undefined, key: string): readonly Json[] {
  const list = result?.[key];
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** What a result lacks of an attachment, a line each. Later plugins of a list may have added to the result. */
export function lacking(result: Json, { spec, interfaceAddresses }: Attachment): readonly string[] {
  const interfaces = listIn(result, "interfaces");
  const own = interfaces.findIndex((one) => one["name"] === spec.ifname && (one["sandbox"] ?? "") !== "");
  if (own < 0) return [`prevResult has no interface ${spec.ifname} in a sandbox`];
  const said = listIn(result, "ips").filter((ip) => ip["interface"] === own);
  return interfaceAddresses
    .filter((address) => !said.some((ip) => ip["address"] === address))
    .map((address) => `prevResult lacks ${address}, which Weft gave`);
}
