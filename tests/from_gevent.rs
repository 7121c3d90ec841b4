//! `docs/from-gevent.md` has an answer for every public name of gevent's modules.

use std::collections::BTreeSet;
use std::fs;

/// Modules and classes of gevent 26.9 with their public names, what is inherited from `object` and from exceptions apart.
#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("gevent", "Greenlet GreenletExit Timeout config fork get_hub getcurrent getswitchinterval idle iwait joinall kill killall reinit setswitchinterval signal_handler sleep spawn spawn_later spawn_raw wait with_timeout"),
    ("Greenlet", "GreenletExit add_spawn_callback dead error exc_info exception get getcurrent gettrace gr_context gr_frame has_links join kill kwargs link link_exception link_value loop minimal_ident name parent rawlink ready remove_spawn_callback run settrace spawn spawn_later spawn_tree_locals spawning_greenlet spawning_stack spawning_stack_limit start start_later started successful switch throw unlink unlink_all value"),
    ("Timeout", "cancel close pending start start_new"),
    ("gevent.greenlet", "Greenlet joinall killall"),
    ("gevent.event", "Event AsyncResult"),
    ("Event", "clear hub isSet is_set linkcount rawlink ready set unlink wait"),
    ("AsyncResult", "cancel cancelled done exc_info exception get get_nowait hub linkcount rawlink ready result set set_exception set_result successful unlink value wait"),
    ("gevent.lock", "Semaphore BoundedSemaphore DummySemaphore RLock"),
    ("Semaphore", "acquire counter hub linkcount locked rawlink ready release unlink wait"),
    ("BoundedSemaphore", "acquire counter hub linkcount locked rawlink ready release unlink wait"),
    ("DummySemaphore", "acquire locked rawlink ready release unlink wait"),
    ("RLock", "acquire locked release"),
    ("gevent.queue", "Queue PriorityQueue LifoQueue SimpleQueue JoinableQueue Channel ShutDown Empty Full"),
    ("Queue", "copy empty full get get_nowait hub is_shutdown join maxsize peek peek_nowait put put_nowait qsize queue shutdown task_done unfinished_tasks"),
    ("PriorityQueue", "copy empty full get get_nowait hub is_shutdown join maxsize peek peek_nowait put put_nowait qsize queue shutdown task_done unfinished_tasks"),
    ("LifoQueue", "copy empty full get get_nowait hub is_shutdown join maxsize peek peek_nowait put put_nowait qsize queue shutdown task_done unfinished_tasks"),
    ("SimpleQueue", "copy empty full get get_nowait hub is_shutdown maxsize peek peek_nowait put put_nowait qsize queue"),
    ("JoinableQueue", "copy empty full get get_nowait hub is_shutdown join maxsize peek peek_nowait put put_nowait qsize queue shutdown task_done unfinished_tasks"),
    ("Channel", "balance empty full get get_nowait getters hub next put put_nowait putters qsize"),
    ("gevent.local", "local"),
    ("gevent.pool", "Group Pool PoolFull"),
    ("Group", "add apply apply_async apply_cb discard full greenlet_class imap imap_unordered join kill killone map map_async map_cb spawn start wait_available"),
    ("Pool", "add apply apply_async apply_cb discard free_count full greenlet_class imap imap_unordered join kill killone map map_async map_cb spawn start wait_available"),
    ("gevent.threadpool", "ThreadPool ThreadResult ThreadPoolExecutor"),
    ("ThreadPool", "adjust apply apply_async apply_cb fork_watcher hub imap imap_unordered join kill manager map map_async map_cb maxsize pid size spawn task_queue"),
    ("ThreadResult", "async_watcher context destroy_in_main_thread exc_info exception handle_error hub receiver set successful value"),
    ("ThreadPoolExecutor", "kill map shutdown submit"),
    ("gevent.timeout", "Timeout with_timeout"),
    ("gevent.hub", "getcurrent GreenletExit spawn_raw sleep kill signal reinit get_hub Hub Waiter LoopExit"),
    ("signal", "cancel greenlet_class handle ref"),
    ("Hub", "GreenletExit NOT_ERROR SYSTEM_ERROR backend cancel_wait cancel_waits_close_and_then dead destroy error exception_stream getcurrent gettrace gr_context gr_frame handle_error handle_system_error ident_registry join loop loop_class main_hub name parent periodic_monitoring_thread print_exception resolver resolver_class run settrace start_periodic_monitoring_thread switch switch_out thread_ident threadpool threadpool_class threadpool_size throw wait"),
    ("Waiter", "clear exc_info get greenlet hub ready successful switch switch_args throw value"),
    ("gevent.util", "format_run_info print_run_info GreenletTree wrap_errors assert_switches"),
    ("GreenletTree", "DEFAULT_DETAILS add_child current_tree forest format format_lines greenlet is_current_tree root"),
    ("assert_switches", "hub tracer"),
];

/// The names in the first column of the tables: `Class.member`, or a name without its module.
fn answered(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let Some(cell) = row.split(" | ").next() else { continue };
        let mut class = String::new();
        for code in cell.split('`').skip(1).step_by(2) {
            let name: String =
                code.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
            let parts: Vec<&str> = name.split('.').filter(|part| *part != "gevent").collect();
            match parts[..] {
                ["", member] => found.insert(format!("{class}.{member}")),
                [module, name] if NAMES.iter().any(|(known, _)| *known == format!("gevent.{module}")) => {
                    found.insert(name.to_string())
                }
                [of, member] => {
                    class = of.to_string();
                    found.insert(class.clone());
                    found.insert(format!("{of}.{member}"))
                }
                [name] => found.insert(name.to_string()),
                _ => false,
            };
        }
    }
    found
}

#[test]
fn every_public_name_of_gevent_has_an_answer() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/from-gevent.md")).unwrap();
    let answered = answered(&text);
    let missing: Vec<String> = NAMES
        .iter()
        .flat_map(|(of, names)| {
            let is_module = of.starts_with("gevent");
            names
                .split(' ')
                .map(move |name| if is_module { name.to_string() } else { format!("{of}.{name}") })
        })
        .filter(|name| !answered.contains(name))
        .collect();
    assert!(missing.is_empty(), "docs/from-gevent.md says nothing of {missing:?}");
}

#[test]
fn names_are_read_as_they_are_written() {
    let found = answered(
        "| `gevent.spawn(f, x)`, `Event.set`, `.clear`, `gevent.event.Event` | `nothing` |\n| a | `Queue.get` |",
    );
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["Event", "Event.clear", "Event.set", "spawn"]);
}
