// Cuts the operations of releases, advisories and rules, with all they refer to, out of a forge's own API description.
// node describe.mjs DESCRIPTION OUT
import { readFileSync, writeFileSync } from "node:fs";

const RELEASES = "/repos/{owner}/{repo}/releases";
const ADVISORIES = "/repos/{owner}/{repo}/security-advisories";
const REPOSITORY = "/repos/{owner}/{repo}";
const RULES = [REPOSITORY, `${REPOSITORY}/branches/{branch}`, `${REPOSITORY}/rules/branches/{branch}`, `${REPOSITORY}/rulesets`, `${REPOSITORY}/rulesets/{ruleset_id}`];
const WANTED = [RELEASES, `${RELEASES}/tags/{tag}`, ADVISORIES, `${ADVISORIES}/{ghsa_id}`, ...RULES];
const [from, to] = process.argv.slice(2);
const whole = JSON.parse(readFileSync(from, "utf8"));

const cut = { ...whole, paths: {} };
for (const part of ["components", "definitions", "responses", "parameters", "x-webhooks", "tags"]) delete cut[part];
for (const path of WANTED) if (path in whole.paths) cut.paths[path] = whole.paths[path];

// Follows every reference, and what that refers to.
const place = (root, reference) => reference.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
const waiting = [cut.paths];
while (waiting.length > 0) {
  const node = waiting.pop();
  if (node === null || typeof node !== "object") continue;
  // Where a part may be null and has no type of its own, the proxy judges nothing at all: it becomes an object or nothing.
  if (node.nullable === true && !node.type && node.allOf) {
    delete node.allOf;
    node.type = "object";
  }
  if (typeof node.$ref === "string") {
    const parts = place(whole, node.$ref);
    const found = parts.reduce((at, part) => at[part], whole);
    const holder = parts.slice(0, -1).reduce((at, part) => (at[part] ??= {}), cut);
    const name = parts.at(-1);
    if (!(name in holder)) {
      holder[name] = found;
      waiting.push(found);
    }
  }
  waiting.push(...Object.values(node));
}
writeFileSync(to, JSON.stringify(cut));
