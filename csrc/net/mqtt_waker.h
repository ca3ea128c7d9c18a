/* mqtt_waker.h -- wakes paho's threads, and protects paho's queue of commands.
** Any thread. Its state belongs to the process and is guarded by mutexes.
**
** paho's receive thread polls the sockets that it knew before for up to a
** second. So a connect takes about a second when other clients are idle.
** Therefore each process has one small client of its own, which is connected to
** a socket of ours. When we send to it, the receive thread looks at all sockets
** again. The first device makes this client, and it stays until the process
** ends: it costs two descriptors, and paho's threads need not stop and start
** with every device.
*/
#ifndef DM_NET_MQTT_WAKER_H
#define DM_NET_MQTT_WAKER_H

#pragma GCC visibility push(hidden)

/* Make the waker if there is none. The first call may wait up to a second, so
** do not call it on the loop thread. Without a waker everything works, only
** later. */
void dm_mqtt_waker_ready(void);

/* Wake paho's receive thread. Never waits. Calls within a millisecond, of all
** threads, count as one. */
void dm_mqtt_waker_poke(void);

/* Wake paho's send thread too. It sleeps for a second after a message that did
** not go out in one write, even when the rest could. Never waits. */
void dm_mqtt_waker_push(void);

/* MQTTAsync_destroy removes its client's commands from the queue of all clients
** without that queue's lock (1.3.12). If another thread queues a command at
** that moment, the list breaks. So every destroy, and every call that queues a
** command, runs between these two. lock waits for a destroy, and wakes paho to
** end it; it does not wait for call-backs of paho. */
void dm_mqtt_waker_lock_queue(void);
void dm_mqtt_waker_unlock_queue(void);

#pragma GCC visibility pop

#endif
