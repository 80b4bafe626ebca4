// Templates: what networks have in common that people make who need not know how. What makes a network of one is in
// control/admit/network/template.ts.
import Type from "typebox";
import { defined } from "../defined.ts";
import type { KindRecord } from "../kind.ts";
import { checkLabels, optionalLabels, someLabels } from "../labels.ts";
import { FOR_ALL } from "../rights.ts";
import { type Value, Description, Flag, Name, Text, Texts, oneOf, optional, strictObject } from "../schema.ts";
import { NetworkInput, canonicalPart } from "./network.ts";

/** What one template names. */
export const NAMES_MAX = 4096;
/** Inputs of one template. */
export const INPUTS_MAX = 64;

/** What an input may be, as it is written in JSON; on a command line each is a text. */
export const InputValue = Type.Union([Text(), Type.Number(), Type.Boolean(), Texts()]);

const TemplateInput = strictObject({
  name: Text("What callers give it by."),
  type: oneOf(
    ["text", "number", "flag", "list", "address", "cidr"],
    "What its value must be. list: texts, with commas between them on a command line.",
  ),
  field: Text("What of the network it says, like `mtu`, `pool.prefix` or `subnets[0].cidr`."),
  default: optional(InputValue),
  required: optional(Flag("Whether it must be given. Default: without a default, the field stays as it is.")),
  choices: optional(Type.Array(InputValue, { minItems: 1, maxItems: 256, description: "All that it may be." })),
  description: optional(Description),
});
export type TemplateInput = Value<typeof TemplateInput>;

const TemplateSpec = strictObject({
  network: NetworkInput,
  inputs: optional(Type.Array(TemplateInput, { maxItems: INPUTS_MAX })),
  restricted: optional(
    Texts(
      "Fields of the network that a caller gives only with the right to administer the template, like `driver`, or " +
        "`ranges.gateway`; each also wherever it is inside of another, as `mtu` in ranges.",
      256,
    ),
  ),
  named: optional(
    Type.Array(strictObject({ kind: Name, name: Name, uid: Name }), {
      maxItems: NAMES_MAX,
      description: "What its network names. The server fills it in: a later thing of the name is not meant.",
    }),
  ),
  labels: optionalLabels,
  description: optional(Description),
});
export type TemplateSpec = Value<typeof TemplateSpec>;

/** The template that every cluster has, and its pool. */
const PRIVATE_IPV4 = "private-ipv4";

const PRIVATE_SPEC: TemplateSpec = {
  description: "An isolated network with addresses, a gateway and a way out. All it needs is a name.",
  network: { driver: "vxlan", ipam: "global", pool: { name: PRIVATE_IPV4 }, masquerade: true },
  inputs: [
    { name: "prefix", type: "number", field: "pool.prefix", description: "Length of its subnet; 24 if not given." },
    { name: "dns", type: "list", field: "dns", description: "Name servers of its endpoints." },
    { name: "description", type: "text", field: "description", description: "What it is for." },
  ],
};

export const template = {
  spec: TemplateSpec,
  unknown: "template-unknown",
  seenBy: "none",
  owned: true,
  builtIn: { name: PRIVATE_IPV4, spec: PRIVATE_SPEC, access: FOR_ALL },
  put: {
    input: TemplateSpec,
    own: true,
    // Behind all that its network may name.
    order: 5,
    canonical: canonicalTemplate,
    summary: "Makes or changes a template; networks that were made from it stay as they are.",
  },
  remove: "own",
} as const satisfies KindRecord;

function canonicalTemplate(spec: TemplateSpec, where: string): TemplateSpec {
  const labels = someLabels(checkLabels(spec.labels, `${where}.labels`));
  const { labels: _, ...rest } = spec;
  return { ...rest, network: canonicalPart(spec.network, `${where}.network`), ...defined({ labels }) };
}
