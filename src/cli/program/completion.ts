// `weft completion`: a script for bash, zsh or fish. The shell asks `weft completion words` what may follow, which
// knows the command tree itself and asks the server for names; so neither can be out of date. A server that does not
// answer within the two seconds that the script gives it completes nothing.
import type { Command, Option } from "commander";
import { ALL_KINDS, type Kind } from "../../model/kinds.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { DRIVER_NAMES } from "../../model/driver.ts";
import { IPAM_MODES, SPOOFING_WORDS, STRATEGIES } from "../network/draft.ts";
import { misuse } from "../output/error.ts";

export function register(command: Command, cli: Cli): void {
  command
    .argument("<shell>", "bash, zsh or fish; words is for the script itself")
    .argument("[words...]", "with words: the words of the line so far; the last one is being typed")
    .addHelpText(
      "after",
      "\nExamples:\n  source <(weft completion bash)\n  weft completion fish > ~/.config/fish/completions/weft.fish",
    )
    .action(cli.verb(complete));
}

async function complete(cli: Cli, shell: string, words: readonly string[]): Promise<void> {
  if (shell === "words") {
    const found = await candidates(await cli.tree(), words, (kind) => namesOf(cli, kind));
    return cli.io.out(found.map((word) => `${word}\n`).join(""));
  }
  if (shell === "bash") return cli.io.out(BASH);
  if (shell === "zsh") return cli.io.out(`autoload -Uz bashcompinit && bashcompinit\n${BASH}`);
  if (shell === "fish") return cli.io.out(FISH);
  throw misuse("<shell>", `there is no completion for "${shell}"`, "choose bash, zsh or fish");
}

const BASH = `_weft() {
  local IFS=$'\\n' current=\${COMP_WORDS[COMP_CWORD]} words
  words=$(timeout 2 weft completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _weft weft
`;
const FISH = "complete -c weft -a '(timeout 2 weft completion words -- (commandline -opc)[2..] (commandline -ct))'\n";

/** Names of a kind, as the server has them; none if it cannot be asked. */
async function namesOf(cli: Cli, kind: Kind): Promise<readonly string[]> {
  try {
    return (await (await connect(cli.io, {})).list(kind)).map(({ name }) => name).sort();
  } catch {
    return [];
  }
}

type Names = (kind: Kind) => Promise<readonly string[]>;

/** What may stand in the place of the last word. */
async function candidates(program: Command, words: readonly string[], names: Names): Promise<readonly string[]> {
  const current = words.at(-1) ?? "";
  const { command, awaits, given } = positionIn(program, words.slice(0, -1));
  if (awaits !== undefined) return valuesOf(awaits, names);
  if (current.startsWith("-")) return [...command.options.flatMap(({ long }) => long ?? []), "--help"];
  if (command.commands.length > 0)
    return command.commands.flatMap((sub) => [sub.name(), ...sub.aliases()]).filter((word) => word !== "help");
  const kind = argumentKind(command, given.length);
  if (kind === undefined) return SHELLS.filter(() => command.name() === "completion" && given.length === 0);
  return (await names(kind)).filter((name) => !given.includes(name));
}
const SHELLS = ["bash", "zsh", "fish"];

type Position = { readonly command: Command; readonly awaits: Option | undefined; readonly given: readonly string[] };

/** Where the words lead: a command, its arguments so far, and the option whose value comes next. */
function positionIn(program: Command, words: readonly string[]): Position {
  let command = program;
  let awaits: Option | undefined;
  const given: string[] = [];
  for (const word of words) {
    if (awaits !== undefined) awaits = undefined;
    else if (word.startsWith("-")) awaits = optionOf(command, word);
    else {
      const sub = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (sub === undefined) given.push(word);
      else command = sub;
    }
  }
  return { command, awaits, given };
}

/** The option that the word is, if its value is the next word. */
function optionOf(command: Command, word: string): Option | undefined {
  return command.options.find(({ long, short, required }) => required && (long === word || short === word));
}

/** Options that are not called as the kind whose names they take. */
const KIND_OF_OPTION: ReadonlyMap<string, Kind> = new Map([
  ["--prune-vrf", "vrf"],
  ["--sg", "securitygroup"],
  ["--security-group", "securitygroup"],
]);
const VALUES_OF_OPTION = new Map<string, readonly string[]>([
  ["--ipam", IPAM_MODES],
  ["--driver", DRIVER_NAMES],
  ["--strategy", STRATEGIES],
  ["--spoofing", [...SPOOFING_WORDS, "none"]],
  ["--state", ["used", "held", "reserved", "quarantined", "gateway", "excluded", "all"]],
]);

async function valuesOf({ long, argChoices }: Option, names: Names): Promise<readonly string[]> {
  const kind = KIND_OF_OPTION.get(long ?? "") ?? kindCalled(long?.slice("--".length));
  if (kind !== undefined) return names(kind);
  return argChoices ?? VALUES_OF_OPTION.get(long ?? "") ?? [];
}

/** Commands that are not called as the kind that they are about. */
const KIND_OF_NOUN: ReadonlyMap<string, Kind> = new Map([
  ["sg", "securitygroup"],
  ["detach", "endpoint"],
]);

function kindCalled(name: string | undefined): Kind | undefined {
  return ALL_KINDS.find((kind) => kind === name);
}

function kindOfNoun(command: Command | null): Kind | undefined {
  const name = command?.name() ?? "";
  return KIND_OF_NOUN.get(name) ?? kindCalled(name);
}

/** Their name is of something that is not there yet. */
const MAKING: ReadonlySet<string> = new Set(["create", "reserve", "add"]);

/** What the argument in this place names, if it is a resource that is there. */
function argumentKind(command: Command, at: number): Kind | undefined {
  const all = command.registeredArguments;
  const argument = all[at] ?? (all.at(-1)?.variadic === true ? all.at(-1) : undefined);
  if (argument === undefined) return undefined;
  if (["network", "from", "to", "parent"].includes(argument.name())) return "network";
  if (argument.name() === "template") return "template";
  if (argument.name() !== "name" || MAKING.has(command.name())) return undefined;
  if (command.name() === "effective") return "endpoint";
  return kindOfNoun(command) ?? kindOfNoun(command.parent);
}
