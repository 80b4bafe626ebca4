// Templates: which are valid, and what a network of one is: its part of a spec, with the values of its inputs, and what
// the caller gives besides. What comes out is put as if somebody had written it, so it is checked like any network.
import { isDeepStrictEqual } from "node:util";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { InstantiateRequest, NetworkInput } from "../../../model/input.ts";
import { type Kind, calledOf, unknownFault } from "../../../model/kinds.ts";
import { NAMES_MAX, type TemplateInput, type TemplateSpec } from "../../../model/kinds/template.ts";
import { checkName, parsePut } from "../../../model/parse.ts";
import type { Network, Template } from "../../../model/resource.ts";
import { NEW_MODE } from "../../../model/rights.ts";
import { checkField, inputValue, withField } from "../../../model/template.ts";
import type { Draft } from "../../state/draft.ts";
import { builtIn } from "../../state/builtIn.ts";
import { type View, get } from "../../state/view.ts";
import type { Delete, Put } from "../../write.ts";
import { within } from "../context.ts";
import { checkGroups } from "../group/group.ts";
import { putNetwork } from "./network.ts";

/** Makes or changes a template; networks that were made from it stay as they are. */
export function putTemplate(draft: Draft, { name, spec: wanted }: Put<TemplateSpec>): Template {
  const { view } = draft;
  const { named: _, ...spec } = wanted;
  checkName("template", name, "name");
  checkInputs(spec.inputs ?? []);
  for (const [i, field] of (spec.restricted ?? []).entries()) checkField(field, `spec.restricted[${i}]`, false);
  checkNamed(view, spec.network);
  // The built-in template need not be written; a list of templates has it, and can be applied.
  const own = get(view, "template", name) === undefined ? builtIn("template", name) : undefined;
  if (own !== undefined && isDeepStrictEqual(spec, own.spec)) return own;
  const named = namesIn(spec.network).flatMap(([kind, each]) => {
    const uid = get(view, kind, each)?.uid;
    return uid === undefined ? [] : [{ kind, name: each, uid }];
  });
  if (named.length > NAMES_MAX)
    throw new Fault("request-invalid", {
      what: `template "${name}" names ${named.length} things`,
      where: "spec.network",
      why: `at most ${NAMES_MAX} are possible`,
      fix: "name fewer security groups or clusters",
    });
  return draft.put("template", name, { ...spec, ...(named.length === 0 ? {} : { named }) });
}

/** What a network's part names besides itself, each once. */
function namesIn({ vrf, pool, parent, reservedFrom, clusters, ...part }: NetworkInput): readonly Name[] {
  const groups = [part, ...(part.ranges ?? [])].flatMap(({ securityGroups = [] }) => securityGroups);
  const one = (kind: Kind, name: string | undefined): readonly Name[] => (name === undefined ? [] : [[kind, name]]);
  return [
    ...one("vrf", vrf),
    ...one("pool", pool?.name),
    ...one("physicalnetwork", parent),
    ...one("network", reservedFrom),
    ...(clusters ?? []).map((name): Name => ["hostcluster", name]),
    ...[...new Set(groups)].map((name): Name => ["securitygroup", name]),
  ];
}
type Name = readonly [kind: Kind, name: string];

/** The first of what the template named that is not there any more, or is another now. */
function otherNow(view: View, { named = [] }: TemplateSpec, network: NetworkInput): Name | undefined {
  return namesIn(network).find(([kind, name]) => {
    const meant = named.find((each) => each.kind === kind && each.name === name);
    return meant !== undefined && get(view, kind, name)?.uid !== meant.uid;
  });
}

/** Whether all that the template names is still what its author meant. */
export function isMeant(view: View, spec: TemplateSpec): boolean {
  return otherNow(view, spec, spec.network) === undefined;
}

/** Removes a template; the built-in one is then again as it was at first. */
export function deleteTemplate(draft: Draft, { name }: Delete): void {
  draft.remove("template", name);
}

/** The template; a Fault `template-unknown` at `where` if there is none. */
function templateNamed(view: View, name: string, where = "name"): Template {
  const template = get(view, "template", name) ?? builtIn("template", name);
  if (template === undefined) throw unknownFault("template", name, where);
  return template;
}

function checkInputs(inputs: readonly TemplateInput[]): void {
  for (const [i, input] of inputs.entries()) {
    const where = `spec.inputs[${i}]`;
    if (!/^[a-zA-Z][a-zA-Z0-9_-]{0,62}$/.test(input.name))
      throw new Fault("name-invalid", {
        what: `"${input.name.slice(0, 80)}" cannot be the name of an input`,
        where: `${where}.name`,
        fix: "choose letters, digits and dashes, and begin with a letter",
      });
    if (inputs.findIndex(({ name }) => name === input.name) !== i)
      throw new Fault("name-taken", {
        what: `two inputs have the name ${input.name}`,
        where: `${where}.name`,
        fix: "give each its own",
      });
    checkField(input.field, `${where}.field`, true);
    for (const [n, choice] of (input.choices ?? []).entries()) inputValue(input, choice, `${where}.choices[${n}]`);
    if (input.default !== undefined) inputValue(input, input.default, `${where}.default`);
  }
}

/** What the network names must be there. */
function checkNamed(view: View, { pool, parent, vrf, securityGroups, reservedFrom }: NetworkInput): void {
  const named = [
    ["pool", pool?.name, "pool.name"],
    ["physicalnetwork", parent, "parent"],
    ["vrf", vrf, "vrf"],
    ["network", reservedFrom, "reservedFrom"],
  ] as const;
  for (const [kind, name, field] of named)
    if (name !== undefined && get(view, kind, name) === undefined && builtIn(kind, name) === undefined)
      throw unknownFault(kind, name, `spec.network.${field}`);
  checkGroups(view, securityGroups ?? [], "spec.network.securityGroups");
}

/** The networks of one request, in the order of their numbers: all or none. */
export function instantiate(draft: Draft, name: string, request: InstantiateRequest): readonly Network[] {
  const { template, spec } = filledTemplate(draft.view, name, request);
  return namesFor(draft.view, template.name, request).map((each) =>
    within(`network/${each}`, () => make(draft, { template, name: each, spec })),
  );
}

/** The template, and the spec of each network that the request makes of it: with inputs, and what the caller gives. */
export function filledTemplate(
  view: View,
  name: string,
  request: InstantiateRequest,
): { readonly template: Template; readonly spec: NetworkInput } {
  const template = templateNamed(view, name);
  const whole = merged(template, filledIn(template, request.inputs ?? {}), request);
  // A reservation has none.
  const subnets = whole.reservedFrom === undefined ? {} : { subnets: [] };
  const other = otherNow(view, template.spec, whole);
  if (other !== undefined) throw notMeant(template.name, other);
  return { template, spec: parsePut("network", { spec: { ...subnets, ...whole } }) };
}

/** A later thing of the name may be another user's. */
function notMeant(template: string, [kind, name]: Name): Fault {
  return new Fault("not-found", {
    what: `${calledOf(kind)} "${name}", which template "${template}" names, is not there any more`,
    where: `template/${template}`,
    why: "if there is one of the name, it is another",
    fix: "ask who manages the template to write it again, if that one is meant: weft template update",
  });
}

function make(
  draft: Draft,
  { template, name, spec }: { readonly template: Template; readonly name: string; readonly spec: NetworkInput },
): Network {
  const { view } = draft;
  if (get(view, "network", name) !== undefined)
    throw new Fault("name-taken", {
      what: `there is a network "${name}" already`,
      where: "name",
      fix: "choose another name",
    });
  const isAlone = spec.vrf === undefined && spec.placement === undefined && spec.reservedFrom === undefined;
  if (isAlone && get(view, "vrf", name) !== undefined)
    throw new Fault("name-taken", {
      what: `there is a VRF of the name "${name}" already`,
      where: "name",
      why: `networks of template "${template.name}" are each in a VRF of their own, which is called like them`,
      fix: "choose another name",
    });
  // Restrictions hold for the network as well: else they would end with the first edit.
  const restricted = [...new Set([...(template.spec.restricted ?? []), ...(spec.restricted ?? [])])];
  return putNetwork(draft, { name, spec: { ...spec, ...(restricted.length === 0 ? {} : { restricted }) } });
}

/** Names with numbers are in order, so that the same request names the same networks. */
function namesFor(view: View, template: string, { name, count }: InstantiateRequest): readonly string[] {
  if (name !== undefined) {
    const names = count === undefined ? [name] : Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
    return names.map((each) => checkName("network", each, "name"));
  }
  const names: string[] = [];
  for (let number = 1; names.length < (count ?? 1); number++) {
    const each = `${template}-${number}`;
    if (get(view, "network", each) === undefined && get(view, "vrf", each) === undefined)
      names.push(checkName("network", each, "name"));
  }
  return names;
}

/** The template's part with the values of its inputs. */
function filledIn({ name, spec }: Template, given: NonNullable<InstantiateRequest["inputs"]>): NetworkInput {
  const inputs = spec.inputs ?? [];
  const other = Object.keys(given).find((key) => !inputs.some((input) => input.name === key));
  if (other !== undefined) {
    const names = inputs.map((input) => input.name).join(", ");
    throw new Fault("request-invalid", {
      what: `template "${name}" has no input ${other.slice(0, 80)}`,
      where: `inputs.${other.slice(0, 80)}`,
      fix: names === "" ? "leave it out" : `its inputs are ${names}`,
    });
  }
  let part = spec.network;
  for (const input of inputs) {
    const value = given[input.name] ?? input.default;
    const where = `inputs.${input.name}`;
    if (value !== undefined) part = withField(part, input.field, inputValue(input, value, where));
    else if (input.required === true)
      throw new Fault("request-invalid", {
        what: `template "${name}" needs input ${input.name}`,
        where,
        ...defined({ why: input.description }),
        fix: `give it: --input ${input.name}=VALUE`,
      });
  }
  return part;
}

const ADDRESSES = ["subnets", "pool", "ranges"] as const;

/** The caller's fields go before the template's; addresses only where that is meant. */
function merged({ name }: Template, part: NetworkInput, request: InstantiateRequest): NetworkInput {
  const { network: own = {}, replaceAddresses = false } = request;
  const isSamePool = own.pool !== undefined && own.pool.name === part.pool?.name;
  const both = ADDRESSES.filter(
    (field) => own[field] !== undefined && part[field] !== undefined && !(field === "pool" && isSamePool),
  );
  const isElsewhere = own.subnets !== undefined ? part.pool !== undefined : own.pool !== undefined && !isSamePool;
  if (!replaceAddresses) {
    const [field] = both;
    if (field !== undefined) throw bothFault(name, field);
    const pool = isSamePool ? { pool: { ...part.pool, ...own.pool } } : {};
    return { ...part, ...own, ...pool };
  }
  if (both.length === 0 && !isElsewhere)
    throw new Fault("request-invalid", {
      what: `nothing replaces addresses of template "${name}"`,
      where: "replaceAddresses",
      why: "no subnets, pool or ranges are given that it has, too",
      fix: "leave it out, or give addresses",
    });
  const { subnets, pool, ranges, ...rest } = part;
  // Ranges lie in subnets, so they do not stay without them.
  const kept = own.subnets === undefined && own.pool === undefined ? { subnets, pool } : {};
  return { ...rest, ...defined(kept), ...own };
}

function bothFault(name: string, field: (typeof ADDRESSES)[number]): Fault {
  return new Fault("request-invalid", {
    what: `both template "${name}" and the request have ${field}`,
    where: `network.${field}`,
    why: "it is not said whether they are instead of the template's",
    fix: "leave them out, or say so: replaceAddresses (--replace-addresses)",
  });
}

/** A copy under another name. */
export function cloneTemplate(draft: Draft, from: string, name: string): Template {
  const { spec } = templateNamed(draft.view, from);
  const clone = draft.put("template", freeName(draft, name), spec);
  const { access } = clone;
  // What is restricted, is so in the copy as well: its owner does not administer it.
  return spec.restricted === undefined || access?.owner === undefined
    ? clone
    : draft.grant(clone, { ...access, mode: NEW_MODE });
}

/** The same template under another name; a Fault `forbidden` for the built-in one. */
export function renameTemplate(draft: Draft, from: string, name: string): Template {
  const template = templateNamed(draft.view, from);
  if (builtIn("template", from) !== undefined)
    throw new Fault("forbidden", {
      what: `template "${from}" keeps its name`,
      where: "name",
      why: "every cluster has it",
      fix: `make a copy: weft template clone ${from} ${name}`,
    });
  if (name === from) return template;
  return draft.rename(template, freeName(draft, name));
}

function freeName({ view }: Draft, name: string): string {
  checkName("template", name, "name");
  if (get(view, "template", name) === undefined && builtIn("template", name) === undefined) return name;
  throw new Fault("name-taken", {
    what: `there is a template "${name}" already`,
    where: "name",
    fix: "choose another name",
  });
}
