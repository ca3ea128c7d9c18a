/* mqtt_waker.h -- keeps paho's receive thread from sleeping over a change, and
** paho's queue of commands whole. Any thread; its state belongs to the process,
** under mutexes.
**
** That thread polls the set of sockets it knew before for up to a second, so
** that with other clients idle a connect takes about a second. The cure is one
** small client of our own per process: it is connected to a socket of ours, and
** what we send to it makes the thread look again. It is made by the first
** device, and stays connected until the process ends: it costs two descriptors,
** and paho's threads need not be stopped and started with every device.
*/
#ifndef DM_NET_MQTT_WAKER_H
#define DM_NET_MQTT_WAKER_H

#pragma GCC visibility push(hidden)

/* Make the waker unless it is there. May wait up to a second (the first time),
** so not for the loop thread. Without it all works, only later. */
void dm_mqtt_waker_ready(void);

/* Wake paho's receive thread. Never waits. More than one a millisecond from
** all threads together is one. */
void dm_mqtt_waker_poke(void);

/* Wake its send thread too: that one sleeps for a second over a message that
** did not go out in one write, even when the rest has. Never waits. */
void dm_mqtt_waker_push(void);

/* MQTTAsync_destroy takes its client's commands out of the queue of all clients
** without the lock of that queue (1.3.12): what another thread queues at that
** moment breaks the list. So every call that queues one, and every destroy, is
** made between these two. Waits for a destroy, waking paho for it; not for
** call-backs of paho's. */
void dm_mqtt_waker_lock_queue(void);
void dm_mqtt_waker_unlock_queue(void);

#pragma GCC visibility pop

#endif
