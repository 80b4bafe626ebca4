// Values of a check of addresses that go over the wire: a host's inventory (its journal and its kernel), the findings
// of a check, and their repairs. They have schemas because an inventory is untrusted input and a report is documented;
// control/check/findings.ts judges.
import Type from "typebox";
import { type Trial, TrialResult } from "./preflight.ts";
import { type Value, AnyText, AnyTexts, Flag, Text, oneOf, optional, strictObject } from "./schema.ts";

const Addresses = AnyTexts("Without prefix length.");

/** An entry of a host's journal, with what only the host knows about it. */
const JournalEntry = strictObject({
  endpoint: Type.String(),
  network: Type.String(),
  netns: Type.String(),
  mac: Type.String(),
  addresses: Addresses,
  revision: Type.Integer({ minimum: 0, description: "The newer of two claims to one address has the greater one." }),
  state: oneOf(["attached", "detaching"]),
  alive: Flag("Whether the workload's namespace is still the one it was attached in."),
});

/** A port of an endpoint as the kernel has it. */
const KernelPort = strictObject({
  endpoint: Text("By its mark."),
  vrf: Type.String(),
  name: Type.String(),
  far: optional(
    strictObject(
      { ifname: Type.String(), mac: Type.String(), addresses: Addresses },
      "The workload's end; absent if it cannot be read.",
    ),
  ),
});

export const Inventory = strictObject({
  host: Type.String(),
  revision: Type.Integer({ minimum: 0, description: "The newest that this host had heard of." }),
  entries: Type.Array(JournalEntry),
  ports: Type.Array(KernelPort),
  busy: AnyTexts("Endpoints being attached or detached while this was read."),
  telling: Flag("Whether the agent is just telling the server what its journal knows."),
});

/** An order to a host for the repair of a finding. Repeating it does no harm. */
export const Order = Type.Union([
  strictObject(
    {
      do: Type.Literal("detach"),
      endpoint: Type.String(),
      addresses: Addresses,
      alive: Flag("Also if its workload runs."),
    },
    "Takes the port away and frees the addresses, if the endpoint still has exactly these.",
  ),
  /** Compares kernel, journal and server once more, and repairs as usual. */
  strictObject({ do: Type.Literal("settle") }),
  /** Writes the server's record of the endpoint into the journal: in a global network the server's record counts. */
  strictObject({ do: Type.Literal("take"), endpoint: Type.String() }),
  /** Sends the journal's record of the endpoint to the server: in a local network the host's record counts. */
  strictObject({ do: Type.Literal("tell"), endpoint: Type.String() }),
]);

/** The answer to a question: the result of each order, then the inventory, and what came of the trial. */
export const InventoryAnswer = strictObject({
  ask: Type.Integer({ minimum: 1 }),
  done: AnyTexts("One per order: empty if it was done, else why not."),
  inventory: Inventory,
  trial: optional(TrialResult),
});

export const CheckRequest = strictObject({
  network: optional(Text("Only findings about this network.")),
  host: optional(Text("Only this host is asked, and only findings about it count.")),
  repair: optional(Flag("Mend what can be mended, then check again.")),
  evict: optional(Flag("With repair: of two that hold one address, detach the one that came later.")),
});

const KINDS = ["leaked", "doubled", "orphaned", "conflicting"] as const;
/** Why something is a finding; docs/operations.md has a line for each. */
export const RULES = {
  "workload-gone": "leaked",
  "detach-unfinished": "leaked",
  "port-missing": "leaked",
  "network-gone": "leaked",
  "host-gone": "leaked",
  "unknown-to-host": "leaked",
  "two-holders": "doubled",
  "two-blocks": "doubled",
  "port-unknown": "orphaned",
  "unknown-to-server": "conflicting",
  "lease-differs": "conflicting",
  "kernel-differs": "conflicting",
  "wrong-host": "conflicting",
  outside: "conflicting",
} as const satisfies Record<string, (typeof KINDS)[number]>;
export type Rule = keyof typeof RULES;

const Evidence = strictObject({
  source: oneOf(["server", "journal", "kernel"]),
  host: Text("Whose journal or kernel; of the server, the host it has the endpoint on."),
  says: Type.String(),
});

const Finding = strictObject({
  kind: oneOf(KINDS),
  rule: oneOf(Object.keys(RULES) as Rule[]),
  network: Text("Empty if it is not known."),
  vrf: Text("Empty if it is not known."),
  addresses: Addresses,
  endpoint: Type.String(),
  host: Type.String(),
  evidence: Type.Array(Evidence),
  remedy: AnyText("What --repair does, or what a person has to do."),
  mendable: Flag("Whether repair does it."),
  repair: optional(strictObject({ done: Type.Boolean(), says: Type.String() }, "With repair: what was done about it.")),
});

export const CheckReport = strictObject({
  revision: Type.Integer({ minimum: 0 }),
  endpoints: Type.Integer({ description: "That the server knows." }),
  checked: AnyTexts("Hosts that were asked and answered."),
  unchecked: Type.Array(strictObject({ host: Type.String(), why: Type.String() }), {
    description: "Hosts that could not be asked: nothing is said about their journals and kernels.",
  }),
  passing: Type.Integer({ description: "Differences of a first look that a second one did not see again." }),
  findings: Type.Array(Finding),
  left: optional(Type.Integer({ description: "With repair: findings that a check afterwards still has." })),
});

export type JournalEntry = Value<typeof JournalEntry>;
export type KernelPort = Value<typeof KernelPort>;
export type Inventory = Value<typeof Inventory>;
export type InventoryAnswer = Value<typeof InventoryAnswer>;
export type Order = Value<typeof Order>;
/** A question that the server sends to a host with the change sets of its watch. */
export type Ask = { readonly id: number; readonly orders: readonly Order[]; readonly trial?: Trial };
export type CheckRequest = Value<typeof CheckRequest>;
export type Evidence = Value<typeof Evidence>;
export type Finding = Value<typeof Finding>;
export type CheckReport = Value<typeof CheckReport>;
