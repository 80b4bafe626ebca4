// `weft completion`: a script for bash, zsh or fish, made from the command tree itself so that it cannot be out of
// date. It knows words and options, not names of resources: a shell must not ask a server at every key.
import type { Command } from "commander";
import { Fault } from "../model/fault.ts";
import { programOf, type Cli } from "./cli.ts";

export function register(command: Command, cli: Cli): void {
  command
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText(
      "after",
      "\nExamples:\n  source <(weft completion bash)\n  weft completion fish > ~/.config/fish/completions/weft.fish",
    )
    .action(cli.verb((shell: string) => complete(cli, shell)));
}

/** What may follow each command path, like `network list`. */
type Words = readonly (readonly [path: string, words: readonly string[]])[];

async function complete(cli: Cli, shell: string): Promise<void> {
  const words = wordsOf(await programOf(cli, "all"), "");
  if (shell === "bash") return cli.io.out(bashText(words));
  if (shell === "zsh") return cli.io.out(`autoload -Uz bashcompinit && bashcompinit\n${bashText(words)}`);
  if (shell === "fish") return cli.io.out(fishText(words));
  throw new Fault("request-invalid", { what: `no completion for "${shell}"`, fix: "choose bash, zsh or fish" });
}

function wordsOf(command: Command, path: string): Words {
  const options = command.options
    .flatMap((option) => [option.long, option.short])
    .filter((word) => word !== undefined && word !== null);
  const own: Words = [[path, [...command.commands.map((sub) => sub.name()), ...options, "--help"]]];
  return [
    ...own,
    ...command.commands.flatMap((sub) =>
      [sub.name(), ...sub.aliases()].flatMap((name) => wordsOf(sub, `${path} ${name}`.trim())),
    ),
  ];
}

function bashText(words: Words): string {
  const cases = words.map(([path, next]) => `    '${path}') words='${next.join(" ")}' ;;\n`).join("");
  return `_weft() {
  local path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  # Arguments follow the verb: drop them until a path is known.
  while :; do
    case $path in
${cases.replaceAll(/^ {4}/gm, "      ")}    esac
    [ -n "$words" ] || [ -z "$path" ] && break
    case $path in *' '*) path=\${path% *} ;; *) path='' ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _weft weft
`;
}

function fishText(words: Words): string {
  const lines = words.map(([path, next]) => {
    const parts = path === "" ? [] : path.split(" ");
    const seen = parts.map((part) => `__fish_seen_subcommand_from ${part}`).join("; and ");
    const [names, options] = [
      next.filter((word) => !word.startsWith("-")),
      next.filter((word) => word.startsWith("--")),
    ];
    const unseen = names.length === 0 ? "" : `not __fish_seen_subcommand_from ${names.join(" ")}`;
    const when = [seen, unseen].filter((part) => part !== "").join("; and ");
    const condition = when === "" ? "" : ` -n '${when}'`;
    return [
      ...names.map((name) => `complete -c weft -f${condition} -a ${name}`),
      ...options.map((option) => `complete -c weft${condition} -l ${option.slice(2)}`),
    ].join("\n");
  });
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}
