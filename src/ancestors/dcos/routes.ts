// The overlay master's HTTP interface for DC/OS tools: the state, and the removal of agents.
import type { Route } from "../../api/route.ts";
import type { Control } from "../../control/control.ts";
import { ipOf } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { HostReport } from "../../model/status.ts";
import { type State, agentOverlay, overlayState } from "./state.ts";

/** What the routes need of the control plane. */
export type Cluster = Pick<Control, "snapshot" | "status" | "write">;

type TextAnswer = { readonly type: string; readonly text: string };
type DcosRoute = Omit<Route, "handle"> & {
  readonly handle: (call: Readonly<{ query: Readonly<Record<string, unknown>>; text: string }>) => Promise<TextAnswer>;
};

/** DC/OS's paths among the API's own, for administrators. */
export function dcosRoutes(cluster: Cluster): readonly DcosRoute[] {
  const shared = { access: "admin", query: "any", answers: { 200: { type: "application/json" } } } as const;
  const both = (path: string, route: Pick<DcosRoute, "method" | "summary" | "handle">) =>
    [path, `/mesos${path}`].map((each): DcosRoute => ({ ...route, path: each, ...shared }));
  return [
    ...both("/overlay-master/state", {
      method: "GET",
      summary: "As DC/OS's overlay master shows its state.",
      handle: async ({ query }) => jsonOrScript(await stateOf(cluster), query["jsonp"]),
    }),
    ...both("/overlay-master/agents/delete", {
      method: "POST",
      summary: "As DC/OS's overlay master removes agents.",
      handle: async ({ text }) => jsonOrScript(await deleteAgents(cluster, text), undefined),
    }),
  ];
}

async function stateOf(cluster: Cluster): Promise<State> {
  const [snapshot, { hosts }] = await Promise.all([cluster.snapshot({ role: "admin" }), cluster.status()]);
  const reports = hosts.flatMap(({ host, status }) => (status === undefined ? [] : [[host, status] as const]));
  const state = overlayState(snapshot, new Map(reports));
  if (state !== undefined) return state;
  const what = "there are no DC/OS networks";
  throw new Fault("vrf-unknown", { what, fix: "import a config.yaml with `weft import dcos`" });
}

/** Removes the hosts with these underlay addresses and all they have; unknown addresses change nothing. */
async function deleteAgents(cluster: Cluster, body: string): Promise<State> {
  const addresses = agentsIn(body);
  await stateOf(cluster);
  const { hosts } = await cluster.snapshot({ role: "admin" });
  const gone = hosts.filter((host) => addresses.has(host.spec.underlay));
  // All in one turn, so that they share one durable transaction.
  await Promise.all(gone.map((host) => deleteHost(cluster, host.name)));
  return stateOf(cluster);
}

async function deleteHost(cluster: Cluster, name: string): Promise<void> {
  try {
    await cluster.write({ verb: "delete", kind: "host", name, force: true });
  } catch (error) {
    // Another request has removed it meanwhile.
    if (!(error instanceof Fault && error.reason === "host-unknown")) throw error;
  }
}

/** `{"agents": ["10.0.0.1"]}`; Fault `request-invalid` for anything else. */
function agentsIn(body: string): ReadonlySet<string> {
  const fix = 'send {"agents": ["10.0.0.1"]}, the addresses of hosts';
  const refuse = (where: string, what: string) => new Fault("request-invalid", { what, where, fix });
  const agents = agentsMember(body);
  if (!Array.isArray(agents))
    throw refuse("agents", agents instanceof SyntaxError ? "the body is not JSON" : "there is no list of agents");
  const addresses = agents.map((agent: unknown, i) => {
    if (typeof agent !== "string") throw refuse(`agents[${i}]`, "an agent is not text");
    if (ipOf(agent)?.family !== 4) throw refuse(`agents[${i}]`, `"${agent}" is not an IPv4 address`);
    return agent;
  });
  return new Set(addresses);
}

function agentsMember(body: string): unknown {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && "agents" in value ? value.agents : undefined;
  } catch (error) {
    return error;
  }
}

/** JSON, or with a callback's name a script that calls it (JSONP). */
function jsonOrScript(value: unknown, callback: unknown): TextAnswer {
  const json = JSON.stringify(value);
  if (callback === undefined) return { type: "application/json", text: json };
  if (typeof callback === "string" && /^[A-Za-z_$][\w$.]{0,99}$/.test(callback)) {
    return { type: "text/javascript", text: `${callback}(${json});` };
  }
  const fix = "give the name of a function, like ?jsonp=show";
  throw new Fault("request-invalid", { what: "jsonp is not the name of a function", where: "jsonp", fix });
}

/** GET /overlay-agent/overlay of a host's agent. `look` returns what the agent has now. */
export function overlayPage(
  host: string,
  look: () => { readonly snapshot: Snapshot; readonly report: HostReport | undefined },
): { readonly path: string; readonly type: string; readonly body: () => string } {
  const body = () => {
    const { snapshot, report } = look();
    const overlay = agentOverlay(snapshot, host, report);
    if (overlay !== undefined) return JSON.stringify(overlay);
    const fix = "wait for its agent to reach the server";
    throw new Fault("not-synced", { what: "this host has not joined yet", fix });
  };
  return { path: "/overlay-agent/overlay", type: "application/json", body };
}
