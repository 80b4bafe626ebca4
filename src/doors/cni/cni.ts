// The CNI door: what each command of the specification (1.1.0 and back to 0.3.1) means here. The shim that a runtime
// executes only carries a request to the agent's socket and an answer back; all judgement is in this folder.
import type { Agent } from "../../agent/agent.ts";
import type { Door } from "../../agent/endpoint/attach.ts";
import type { Entry, Journal } from "../../agent/journal/journal.ts";
import type { Route, RouteAnswer } from "../../agent/socket/localApi.ts";
import { differences } from "../../agent/endpoint/verify.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { vrfsOn } from "../../model/membership.ts";
import { endpointName, type Network } from "../../model/resource.ts";
import type { AttachRequest } from "../../model/status.ts";
import type { Json } from "./fold.ts";
import { CniRefusal, errorJson, refusalOf } from "./refusal.ts";
import { type Config, decode, partsOf, type Request, requestOf, VERSIONS, versionIn } from "./request.ts";
import { lacking, listIn, resultOf } from "./result.ts";

export type CniOptions = {
  readonly agent: Agent;
  readonly host: string;
  readonly door: Door;
  readonly journal: Journal;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

const NEWEST = "1.1.0";

/** The way in that the shim uses. Status 200 is success, anything else an error in the specification's form. */
export function cniRoute(options: CniOptions): Route {
  return { path: "/v1/cni", answer: (body) => answer(options, body) };
}

async function answer(options: CniOptions, body: Buffer): Promise<RouteAnswer> {
  let version: string = NEWEST;
  try {
    const { environment, input } = partsOf(body);
    const command = environment.get("CNI_COMMAND");
    // A runtime may ask for the versions without any configuration, and wants to be rid of a container whatever it is.
    const json = command === "VERSION" && input.trim() === "" ? { cniVersion: NEWEST } : decoded(command, input);
    version = versionIn(json);
    const request = requestOf(environment, json);
    if (request.command === "VERSION")
      return { status: 200, body: JSON.stringify({ cniVersion: request.version, supportedVersions: VERSIONS }) };
    if (request.netns !== "") refuseOwnNamespace(options, request);
    return { status: 200, body: await run(options, request) };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal.code === "internal" || refusal.code === "io") options.log("cni", { error: String(error) });
    return { status: 500, body: errorJson(refusal, version) };
  }
}

function decoded(command: string | undefined, input: string): Json {
  try {
    return decode(input);
  } catch (error) {
    if (command === "DEL") return {};
    throw error;
  }
}

/** A container that shares the host's namespace has the host's network already; a VRF's is no container's. */
function refuseOwnNamespace({ kernel }: CniOptions, { command, netns }: Request): void {
  const id = command === "DEL" ? undefined : kernel.netnsId(netns);
  const ns = id === undefined ? undefined : kernel.ownNetns(id);
  if (ns === undefined) return;
  const whose = ns === "host" ? "the host's own network namespace" : `the namespace of VRF ${ns.slice(4)}`;
  throw new CniRefusal("environment", `CNI_NETNS is invalid: "${netns}"`, `it is ${whose}`);
}

/** How long an ADD waits for an agent that has just started: a little longer than that waits for its server. */
const START_MS = 5_000;
const LOOK_MS = 20;

async function started({ agent, clock }: CniOptions): Promise<void> {
  const isUnsaid = () => agent.snapshots.current() === undefined;
  for (let waited = 0; isUnsaid() && waited < START_MS; waited += LOOK_MS) await clock.sleep(LOOK_MS);
}

/** What goes to standard output. */
async function run(options: CniOptions, request: Request): Promise<string> {
  switch (request.command) {
    case "ADD":
      return JSON.stringify(await add(options, request));
    case "DEL":
      await del(options, request);
      return "";
    case "CHECK":
      await check(options, request);
      return "";
    case "STATUS":
      status(options, request.config);
      return "";
    case "GC":
      await collect(options, request.config);
      return "";
  }
}

async function add(options: CniOptions, request: Request) {
  const { config } = request;
  await started(options);
  refuseAtOnce(options, request);
  const attachment = await options.door.attach(attachRequestOf(options, request), { cni: config.name });
  return resultOf(config.version, attachment, config.dns, config.prevResult);
}

/** What needs no attempt: a contradiction, and a network whose addresses are the server's while that is away. */
function refuseAtOnce({ agent, journal }: CniOptions, { containerId, ifname, config }: Request): void {
  const network = agent.snapshots.known()?.networks.find((one) => one.name === config.network);
  if (network === undefined) return;
  const { masquerade, ipam } = network.spec;
  if (config.ipMasq !== undefined && config.ipMasq !== masquerade) {
    throw new CniRefusal(
      "unsupported",
      `ipMasq is not supported: ${config.ipMasq}`,
      `network ${network.name} has masquerade ${masquerade}; leave ipMasq out, or edit the network`,
    );
  }
  const isAttached = journal.entries.get(endpointName(containerId, ifname))?.state === "attached";
  if (ipam === "global" && !agent.isServerThere && !isAttached) {
    const why = "the server assigns this network's addresses and cannot be reached";
    throw new CniRefusal("try-again", `network ${network.name} takes no endpoints now`, why);
  }
}

function attachRequestOf(options: CniOptions, { containerId, netns, ifname, config }: Request): AttachRequest {
  const { network, slice, addresses, mac, qos } = config;
  const defaultRoute = config.defaultRoute ?? wayOut(options, netns, ifname, config);
  return {
    network,
    netns,
    ifname,
    owner: containerId,
    ...(slice === undefined ? {} : { slice }),
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(mac === undefined ? {} : { mac }),
    ...(qos === undefined ? {} : { qos }),
    ...(defaultRoute === undefined ? {} : { defaultRoute }),
  };
}

/**
 * Behind a plugin that has given the container a way out, and on any interface but the container's first, Weft leads to
 * its own networks only. Undefined: as the agent thinks best.
 */
function wayOut({ kernel }: CniOptions, netns: string, ifname: string, { prevResult }: Config): boolean | undefined {
  const isDefault = (dst: unknown) => dst === "0.0.0.0/0" || dst === "::/0";
  if (listIn(prevResult, "routes").some((route) => isDefault(route["dst"]))) return false;
  if (ifname === "eth0") return undefined;
  const others = kernel.linkNames(netns as Ns).filter((name) => name !== "lo" && name !== ifname);
  return others.some((name) => name < ifname) ? false : undefined;
}

/** Whether an entry of the journal is what this request is about: that of a configuration with another name is not. */
function isMeant({ cni, endpoint: { spec } }: Entry, { containerId, ifname, config }: Request): boolean {
  // After the journal was lost an endpoint is known again, but not by which configuration it was made.
  const [ours, said] = cni === undefined ? [spec.network, config.network] : [cni, config.name];
  const isOurs = said === "" || said === ours;
  return isOurs && spec.owner === containerId && spec.ifname === ifname;
}

/** Never asks whether there is a namespace, or was an ADD: what is not there is as good as deleted. */
async function del({ door }: CniOptions, request: Request): Promise<void> {
  await door.detach(endpointName(request.containerId, request.ifname), (entry) => isMeant(entry, request));
}

async function check(options: CniOptions, request: Request): Promise<void> {
  const { containerId, ifname, netns, config } = request;
  const entry = options.journal.entries.get(endpointName(containerId, ifname));
  if (entry?.state !== "attached" || !isMeant(entry, request))
    throw new CniRefusal("container-unknown", `container ${containerId} has no ${ifname} in network ${config.network}`);
  const { attachment, objects } = options.door.shown(entry.endpoint);
  const network = options.agent.snapshots.known()?.networks.find(({ name }) => name === attachment.spec.network);
  const wrong = [
    ...(entry.netnsId === options.kernel.netnsId(netns) ? [] : [`${netns} is another network namespace than at ADD`]),
    ...lacking(config.prevResult ?? {}, attachment),
    ...(await differences(options.kernel, entry.endpoint.spec.netns, objects)).map((line) => `it takes: ${line}`),
    ...(network === undefined ? [] : unreachable(options, network)),
  ];
  if (wrong.length === 0) return;
  options.agent.poke();
  throw new CniRefusal(
    "not-as-it-should-be",
    `${ifname} of container ${containerId} is not as it should be`,
    wrong.join("; "),
  );
}

/** From memory: runtimes ask every few seconds. */
function status(options: CniOptions, config: Config): void {
  let network: Network;
  try {
    network = options.door.networkFor(config.network, config.slice);
  } catch (error) {
    const { message, details } = refusalOf(error);
    throw new CniRefusal("not-available", message, details);
  }
  const errors = unreachable(options, network);
  if (errors.length === 0) return;
  throw new CniRefusal("limited-connectivity", `network ${network.name} is not whole on this host`, errors.join("; "));
}

/** What the last round could not do, if this host carries the network and it is not whole. */
function unreachable({ agent, host }: CniOptions, { name, spec }: Network): readonly string[] {
  const { networks, errors } = agent.report;
  const snapshot = agent.snapshots.known();
  if (errors.length === 0 || networks.includes(name) || snapshot === undefined) return [];
  return vrfsOn(agent.snapshots.local(snapshot), host).has(spec.vrf) ? errors : [];
}

/** Goes on after an error; says at the end what could not be taken away. */
async function collect(options: CniOptions, { name, valid = [] }: Config): Promise<void> {
  const stays = new Set(valid.map(({ containerId, ifname }) => endpointName(containerId, ifname)));
  // Without a name nothing is known to be this configuration's.
  const isOurs = ({ cni }: Entry) => cni === name;
  const names = [...options.journal.entries.values()].filter(isOurs).map(({ endpoint }) => endpoint.name);
  const leftovers = names.filter((endpoint) => !stays.has(endpoint));
  const results = await Promise.allSettled(leftovers.map((endpoint) => options.door.detach(endpoint, isOurs)));
  const failed = results.filter((result) => result.status === "rejected").map(({ reason }) => refusalOf(reason));
  const [first] = failed;
  if (first === undefined) return;
  const details = [first.details, ...failed.slice(1).map(({ message }) => message)].join("; ");
  throw new CniRefusal(first.code, first.message, details);
}
