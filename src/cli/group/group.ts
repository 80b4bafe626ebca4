// `weft sg`: security groups, whom they concern, and how far a change of one has come.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import type { SecurityGroupSpec } from "../../model/group.ts";
import type { SecurityGroup } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import type { ServerClient } from "../input/connect.ts";
import {
  repeated,
  wholeNumber,
  writing,
  type Lists,
  type Switches,
  type Texts,
  type WriteOptions,
} from "../input/options.ts";
import { count } from "../io.ts";
import { misuse } from "../output/error.ts";
import { fields, namesOf, type Column } from "../output/format.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import { RULE_HELP, ruleOf, ruleText } from "./rule.ts";
import { registerStatus } from "./status.ts";

type RuleFlags = Texts<"description"> & Lists<"allow" | "deny" | "remove"> & Switches<"keepFlows">;

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "securitygroup", { about: "List security groups.", columns: COLUMNS, empty: "No groups." });
  registerShow(noun, cli, "securitygroup", {
    about: "Show a security group: its rules, numbered, and the networks and endpoints that have it.",
    text: groupText,
  });
  const make = noun
    .command("create <name>")
    .description("Create a security group. Traffic that no rule of an endpoint's groups allows is dropped.")
    .addHelpText(
      "after",
      `${RULE_HELP}

Examples:
  weft sg create web --allow in:tcp:80,443 --allow in:icmp:8 --allow out:all
  weft sg create db --allow in:tcp:5432:from=group/web --deny in:all:from=10.9.0.0/16:priority=10`,
    );
  writing(ruleFlags(make)).action(cli.verb(createGroup));
  const change = noun
    .command("edit <name>")
    .description("Add and remove rules, for all endpoints of the group at once.")
    .option("--remove <n>", "remove the rule with this number (see weft sg show); repeatable", repeated)
    .addHelpText("after", RULE_HELP);
  writing(ruleFlags(change)).action(cli.verb(editGroup));
  registerDelete(noun, cli, "securitygroup", {
    about: "Delete security groups that no network, range or endpoint uses.",
    hasWait: true,
  });
  registerStatus(noun, cli);
}

function ruleFlags(command: Command): Command {
  return command
    .option("--allow <rule>", "add a rule that lets traffic pass; repeatable", repeated)
    .option("--deny <rule>", "add a rule that drops traffic; repeatable", repeated)
    .option("--keep-flows", "existing connections stay open after a change")
    .option("--no-keep-flows", "a change ends connections that are no longer allowed (default)")
    .option("--description <text>", "text that list and show print");
}

const COLUMNS: readonly Column<SecurityGroup>[] = [
  { header: "NAME", of: (g) => g.name },
  { header: "RULES", of: (g) => String(g.spec.rules.length) },
  { header: "KEEPS-FLOWS", of: (g) => (g.spec.keepFlows === true ? "yes" : "no"), wide: true },
  { header: "DESCRIPTION", of: (g) => g.spec.description ?? "" },
];

type Having = readonly { readonly name: string; readonly spec: { readonly securityGroups?: readonly string[] } }[];

async function groupText({ io }: Cli, { name, spec, revision }: SecurityGroup, server: ServerClient): Promise<string> {
  const [networks, endpoints] = await Promise.all([server.list("network"), server.list("endpoint")]);
  const having = (list: Having) => namesOf(list.filter((one) => one.spec.securityGroups?.includes(name) === true));
  const flows =
    spec.keepFlows === true
      ? "existing connections stay open after a change"
      : "a change ends connections that are no longer allowed";
  const head = fields(io, [
    ["Name", name],
    ["Description", spec.description],
    ["Networks", having(networks)],
    ["Endpoints", having(endpoints)],
    ["Flows", flows],
    ["Revision", String(revision)],
  ]);
  const rules = spec.rules.map((rule, i) => `  ${String(i).padStart(3)}  ${ruleText(rule)}\n`).join("");
  return head + (rules === "" ? "\nNo rules: everything is dropped.\n" : `\nRules:\n${rules}`);
}

function rulesIn({ allow = [], deny = [] }: RuleFlags): SecurityGroupSpec["rules"] {
  return [...allow.map((text) => ruleOf("allow", text)), ...deny.map((text) => ruleOf("deny", text))];
}

async function createGroup(cli: Cli, name: string, options: RuleFlags & WriteOptions): Promise<void> {
  const { keepFlows, description } = options;
  const spec = { rules: rulesIn(options), ...defined({ keepFlows, description }) };
  const group = await create(cli, options, { kind: "securitygroup", name, spec, noun: "sg", called: "group" });
  const { length } = group.spec.rules;
  const rules = length === 0 ? "no rules: it drops everything" : count(length, "rule");
  cli.io.err(`security group ${name} created at revision ${group.revision}, ${rules}\n`);
}

async function editGroup(cli: Cli, name: string, options: RuleFlags & WriteOptions): Promise<void> {
  const { allow, deny, remove, keepFlows, description } = options;
  if (Object.keys(defined({ allow, deny, remove, keepFlows, description })).length === 0) throw noChange("sg");
  await edit(cli, options, {
    kind: "securitygroup",
    name,
    change({ spec: { commits: _, ...spec } }) {
      const gone = new Set(remove?.map((text) => wholeNumber(text, "--remove")));
      const missing = [...gone].find((n) => n !== undefined && n >= spec.rules.length);
      if (missing !== undefined)
        throw misuse("--remove", `group "${name}" has no rule ${missing}`, `see weft sg show ${name}`);
      const rules = [...spec.rules.filter((_rule, i) => !gone.has(i)), ...rulesIn(options)];
      return { ...spec, rules, ...defined({ keepFlows, description }) };
    },
    done: ({ spec, revision }) =>
      `security group ${name} changed at revision ${revision}: ${count(spec.rules.length, "rule")}\n`,
  });
}
