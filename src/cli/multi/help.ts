/** What `celery-ts multi` prints when no command, or none that it knows, is given. */
export const USAGE = `usage: multi start <node1 node2 nodeN|range> [worker options]
       multi stop <n1 n2 nN|range> [-SIG (default: -TERM)]
       multi stopwait <n1 n2 nN|range> [-SIG]
       multi restart <n1 n2 nN|range> [-SIG] [worker options]
       multi kill <n1 n2 nN|range>

       multi show <n1 n2 nN|range> [worker options]
       multi get hostname <n1 n2 nN|range> [worker options]
       multi names <n1 n2 nN|range>
       multi expand template <n1 n2 nN|range>
       multi help

additional options (must appear after command name):

    * --nosplash:   Don't print the name and version first.
    * --quiet:      Print less.
    * --verbose:    Print the command of each node.
    * --no-color:   No colours.
    * --json, -j:   Print JSON instead, at the end.
`;

/** `celery-ts multi help`. */
export const HELP = `Runs several workers in the background, each with a pidfile and a logfile.

  $ celery-ts -A tasks multi start w1 w2 -l INFO -c 3
  $ celery-ts -A tasks multi start 3 -l INFO            # celery1, celery2, celery3
  $ celery-ts -A tasks multi start 3 --range-prefix=w   # w1, w2, w3

A node gets the name of this host, another one with --hostname=example.com,
or one of its own: w1@example.com. What follows are options of 'celery-ts worker'.

Stop and restart find the nodes by their pidfiles. Nothing else is remembered,
so give the same nodes and files again, and to restart the same options:

  $ celery-ts -A tasks multi start w1 -E --pidfile=run/%n.pid --logfile=log/%n%I.log
  $ celery-ts -A tasks multi restart w1 -E --pidfile=run/%n.pid --logfile=log/%n%I.log
  $ celery-ts multi stop w1 --pidfile=run/%n.pid
  $ celery-ts multi stopwait w1 --pidfile=run/%n.pid    # until it is gone

Without them the files are /var/run/celery/%n.pid and /var/log/celery/%n%I.log;
folders that are missing are made. %n is the name of the node, %h the name with
its host, %d the host; in log files %i is the number of the child process, %I
the same behind a dash and nothing for the worker itself.

Options for some nodes, by number or by name:

  $ celery-ts -A tasks multi start 5 -c 3 -c:1-3 10 -Q:4,5 images -Q default
  $ celery-ts -A tasks multi start image video -c 3 -c:image 10

See the commands without running them, the names, one node, a file name:

  $ celery-ts -A tasks multi show 3 -c:1 10
  $ celery-ts multi names 3 --hostname=example.com
  $ celery-ts multi get celery1@example.com 3 --hostname=example.com -c 3
  $ celery-ts multi expand %n.pid image video

Of the options of multi itself, --prefix and --suffix change the names, --cmd
and --append the command line, --executable the Node.js that runs it. What
follows -- is handed to the workers as it is.

A signal other than TERM stands behind the nodes: multi stop 3 -QUIT`;
