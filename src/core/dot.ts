/** Graphs in the DOT language of Graphviz. */

/** Attributes of DOT: `shape`, `fillcolor`, `label`, … */
export type DotAttributes = Readonly<Record<string, string>>;

export interface DotNode {
  readonly id: string;
  /** Lines of text; the id where there are none. */
  readonly label?: readonly string[];
  readonly attributes?: DotAttributes;
}

export interface DotEdge {
  readonly from: string;
  readonly to: string;
  readonly attributes?: DotAttributes;
}

export interface DotGraph {
  readonly nodes: readonly DotNode[];
  readonly edges: readonly DotEdge[];
}

const GRAPH: DotAttributes = { bgcolor: 'mintcream' };
const NODE: DotAttributes = {
  ...{ shape: 'box', style: 'filled', fontname: 'HelveticaNeue' },
  ...{ fillcolor: 'palegreen3', color: 'palegreen4' },
};
const EDGE: DotAttributes = { color: 'darkseagreen4', arrowhead: 'vee', arrowsize: '0.7' };

/** A directed graph, ready for `dot -Tsvg`. */
export function writeDot({ nodes, edges }: DotGraph): string {
  const lines = [
    `graph [${written(GRAPH)}]`,
    `node [${written(NODE)}]`,
    `edge [${written(EDGE)}]`,
    ...nodes.map(({ id, label = [id], attributes }) => {
      return `${quoted(id)} [${written({ label: label.join('\n'), ...attributes })}]`;
    }),
    ...edges.map(({ from, to, attributes = {} }) => {
      const own = written(attributes);
      return `${quoted(from)} -> ${quoted(to)}${own === '' ? '' : ` [${own}]`}`;
    }),
  ];
  return `digraph dependencies {\n${lines.map((line) => `    ${line}\n`).join('')}}`;
}

function written(attributes: DotAttributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(', ');
}

/** Within quotes a backslash begins an escape of Graphviz. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
