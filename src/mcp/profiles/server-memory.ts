/**
 * Profile `server-memory`: the nine tools and the one resource of the reference memory server
 * (`@modelcontextprotocol/server-memory` 2026.8), with its names, shapes and annotations, so that a client changes one
 * line of its configuration and keeps its prompts. The file behind them is replaced by signed records: concurrent
 * writers lose nothing, and several daemons share one graph.
 *
 * As there, arguments nobody knows are passed over, and results are JSON. They are not fenced: what a caller parses must
 * stay parseable. Characters nobody can see are escaped in it, which leaves the parsed value as it is.
 */
import { z } from 'zod'
import type { Profile, ProfileResource, Tool, ToolAnswer, ToolContext } from '../profile.ts'
import { Turns } from '../turns.ts'
import { KnowledgeGraph, type ObservationsOf } from './knowledge-graph.ts'
import { Stamps, type Entity, type Relation } from './server-memory-records.ts'

const GRAPH_URI = 'memory://knowledge-graph'

const READS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false } as const
const ADDS = { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false } as const
const DELETES = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false } as const

const entity = z.object({
  name: z.string().describe('Unique name of the entity'),
  entityType: z.string().describe('What kind of thing it is'),
  observations: z.array(z.string()).describe('What is known about it, one fact each')
})

const relation = z.object({
  from: z.string().describe('Name of the entity it starts at'),
  to: z.string().describe('Name of the entity it leads to'),
  relationType: z.string().describe('What the first is or does to the second, in active voice')
})

const graph = z.object({ entities: z.array(entity), relations: z.array(relation) })
const done = z.object({ success: z.boolean(), message: z.string() })

type Act<A> = (graph: KnowledgeGraph, args: A) => Promise<ToolAnswer>
type Opens = (context: ToolContext) => Promise<KnowledgeGraph>

/** The profile. One serves all connections of a daemon, because writers take turns through it. */
export function serverMemoryProfile(): Profile {
  const shared = { turns: new Turns(), stamps: new Stamps() }
  const open: Opens = (context) => KnowledgeGraph.open(context, shared)
  return { name: 'server-memory', tools: tools(open), resources: [resource(open)] }
}

function tools(open: Opens): Tool[] {
  return [...creating(open), ...deleting(open), ...reading(open)]
}

function creating(open: Opens): Tool[] {
  return [
    tool(open, {
      name: 'create_entities',
      title: 'Create Entities',
      description: 'Adds entities to the knowledge graph; names that exist already are left as they are',
      input: z.looseObject({ entities: z.array(entity) }),
      output: z.object({ entities: z.array(entity) }),
      annotations: ADDS,
      async act(kg, args: { entities: Entity[] }) {
        const entities = await kg.createEntities(args.entities)
        return { structured: { entities }, text: json(entities) }
      }
    }),
    tool(open, {
      name: 'create_relations',
      title: 'Create Relations',
      description: 'Adds relations between entities to the knowledge graph, worded in active voice',
      input: z.looseObject({ relations: z.array(relation) }),
      output: z.object({ relations: z.array(relation) }),
      annotations: ADDS,
      async act(kg, args: { relations: Relation[] }) {
        const relations = await kg.createRelations(args.relations)
        return { structured: { relations }, text: json(relations) }
      }
    }),
    tool(open, {
      name: 'add_observations',
      title: 'Add Observations',
      description: 'Adds observations to entities that exist in the knowledge graph',
      input: z.looseObject({
        observations: z.array(
          z.object({
            entityName: z.string().describe('Name of the entity they are about'),
            contents: z.array(z.string()).describe('The observations to add')
          })
        )
      }),
      output: z.object({
        results: z.array(z.object({ entityName: z.string(), addedObservations: z.array(z.string()) }))
      }),
      annotations: ADDS,
      async act(kg, args: { observations: ObservationsOf[] }) {
        const results = await kg.addObservations(args.observations)
        return { structured: { results }, text: json(results) }
      }
    })
  ]
}

function deleting(open: Opens): Tool[] {
  return [
    tool(open, {
      name: 'delete_entities',
      title: 'Delete Entities',
      description: 'Removes entities from the knowledge graph, with their observations and relations',
      input: z.looseObject({ entityNames: z.array(z.string()).describe('Names of the entities to delete') }),
      output: done,
      annotations: DELETES,
      async act(kg, args: { entityNames: string[] }) {
        await kg.deleteEntities(args.entityNames)
        return deleted('Entities deleted successfully')
      }
    }),
    tool(open, {
      name: 'delete_observations',
      title: 'Delete Observations',
      description: 'Removes single observations from entities in the knowledge graph',
      input: z.looseObject({
        deletions: z.array(
          z.object({
            entityName: z.string().describe('Name of the entity that has them'),
            observations: z.array(z.string()).describe('The observations to delete, word for word')
          })
        )
      }),
      output: done,
      annotations: DELETES,
      async act(kg, args: { deletions: { entityName: string; observations: string[] }[] }) {
        await kg.deleteObservations(args.deletions)
        return deleted('Observations deleted successfully')
      }
    }),
    tool(open, {
      name: 'delete_relations',
      title: 'Delete Relations',
      description: 'Removes relations from the knowledge graph',
      input: z.looseObject({ relations: z.array(relation).describe('The relations to delete') }),
      output: done,
      annotations: DELETES,
      async act(kg, args: { relations: Relation[] }) {
        await kg.deleteRelations(args.relations)
        return deleted('Relations deleted successfully')
      }
    })
  ]
}

function reading(open: Opens): Tool[] {
  return [
    tool(open, {
      name: 'read_graph',
      title: 'Read Graph',
      description: 'The whole knowledge graph',
      input: z.looseObject({}),
      output: graph,
      annotations: READS,
      act: async (kg) => shown(await kg.readGraph())
    }),
    tool(open, {
      name: 'search_nodes',
      title: 'Search Nodes',
      description: 'Entities whose name, type or observations contain the query, and the relations that touch them',
      input: z.looseObject({ query: z.string().describe('Text to look for, in any case') }),
      output: graph,
      annotations: READS,
      act: async (kg, args: { query: string }) => shown(await kg.searchNodes(args.query))
    }),
    tool(open, {
      name: 'open_nodes',
      title: 'Open Nodes',
      description: 'Entities of these names, and the relations that touch them',
      input: z.looseObject({ names: z.array(z.string()).describe('Names of the entities to read') }),
      output: graph,
      annotations: READS,
      act: async (kg, args: { names: string[] }) => shown(await kg.openNodes(args.names))
    })
  ]
}

function resource(open: Opens): ProfileResource {
  return {
    uri: GRAPH_URI,
    name: 'knowledge-graph',
    title: 'Knowledge Graph',
    description: 'All entities and relations of the knowledge graph',
    mimeType: 'application/json',
    read: async (context) => json(await (await open(context)).readGraph())
  }
}

/** `A` is what `input` has let through: the table of a tool is the only place that knows both. */
function tool<A>(open: Opens, row: Omit<Tool, 'run'> & { readonly act: Act<A> }): Tool {
  const { act, ...rest } = row
  return { ...rest, run: async (args, context) => act(await open(context), args as A) }
}

function shown(found: z.output<typeof graph> | Awaited<ReturnType<KnowledgeGraph['readGraph']>>): ToolAnswer {
  return { structured: { ...found }, text: json(found) }
}

function deleted(message: string): ToolAnswer {
  return { structured: { success: true, message }, text: message }
}

/** JSON in which nothing is invisible: controls, zero-width, bidi and tag characters are written as escapes. */
function json(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(HIDDEN, (hidden) =>
    Array.from({ length: hidden.length }, (_, at) => `\\u${hidden.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
      ''
    )
  )
}

const HIDDEN = /(?![\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}|[\u007f-\u009f\u2028\u2029\ufff9-\ufffb]/gu
