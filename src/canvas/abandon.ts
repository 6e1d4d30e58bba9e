/** A canvas that will never run, because what it follows has failed: who has to be told. */
import type { SignatureJson } from '../message/message.ts';
import { placementOf, text } from './freeze.ts';
import type { Placement } from './freeze.ts';
import { signaturesIn } from './links.ts';
import type { CanvasNode, TaskNode } from './signature.ts';
import { stepsOf } from './steps.ts';

/** A task that will never run. */
export interface AbandonedTask {
  readonly id: string;
  readonly groupId: string | null;
  /** Queue of the process that waits for its result. */
  readonly replyTo: string | null;
}

/** A member of a chord's header that will never end by itself. */
export interface AbandonedMember {
  readonly taskId: string;
  readonly groupId: string;
  readonly groupIndex: number | null;
  readonly chord: SignatureJson;
}

/** Error callbacks of a task that would have run first. */
export interface AbandonedErrbacks extends Pick<TaskNode, 'task' | 'args' | 'kwargs'> {
  readonly taskId: string;
  readonly errbacks: readonly SignatureJson[];
}

export interface Abandoned {
  /** All of its tasks with an id: whoever waits for one of them has to learn of the failure. */
  readonly tasks: readonly AbandonedTask[];
  /** Its ends: what waits for them as members of a chord. */
  readonly members: readonly AbandonedMember[];
  /** Of the tasks that would have run first, which fail in its place. */
  readonly errbacks: readonly AbandonedErrbacks[];
}

export function abandoned(node: CanvasNode): Abandoned {
  return { tasks: tasksOf(node), members: membersOf(node, {}), errbacks: errbacksOf(node) };
}

function tasksOf(node: CanvasNode): readonly AbandonedTask[] {
  switch (node.kind) {
    case 'task': {
      const { task_id: taskId, group_id: groupId, reply_to: replyTo } = node.options;
      const id = text(taskId);
      if (id === undefined) return [];
      return [{ id, groupId: text(groupId) ?? null, replyTo: text(replyTo) ?? null }];
    }
    case 'chain':
      return stepsOf(node).flatMap(tasksOf);
    case 'group':
      return node.tasks.flatMap(tasksOf);
    case 'chord':
      return [...tasksOf(node.header), ...tasksOf(node.body)];
  }
}

function membersOf(node: CanvasNode, given: Placement): readonly AbandonedMember[] {
  const own = placementOf(node.options);
  const placement = {
    groupId: own.groupId ?? given.groupId,
    groupIndex: own.groupIndex ?? given.groupIndex,
    chord: own.chord ?? given.chord,
  };
  switch (node.kind) {
    case 'task': {
      const { groupId, groupIndex = null, chord } = placement;
      if (own.id === undefined || groupId === undefined || chord === undefined) return [];
      return [{ taskId: own.id, groupId, groupIndex, chord }];
    }
    case 'chain':
      return stepsOf(node)
        .slice(-1)
        .flatMap((last) => membersOf(last, placement));
    case 'group':
      return node.tasks.flatMap((task) =>
        membersOf(task, { ...placement, groupId: own.id ?? placement.groupId }),
      );
    case 'chord':
      return membersOf(node.body, placement);
  }
}

function errbacksOf(node: CanvasNode): readonly AbandonedErrbacks[] {
  switch (node.kind) {
    case 'task': {
      const errbacks = signaturesIn(node.options['link_error']);
      if (errbacks.length === 0) return [];
      const { task, args, kwargs } = node;
      return [{ task, args, kwargs, taskId: text(node.options['task_id']) ?? '', errbacks }];
    }
    case 'chain':
      return stepsOf(node).slice(0, 1).flatMap(errbacksOf);
    case 'group':
      return node.tasks.flatMap(errbacksOf);
    case 'chord':
      return errbacksOf(node.body);
  }
}
