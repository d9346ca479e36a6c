/* Writes libsrtp2.txt with libsrtp 2.5.0 of Debian 12 (libsrtp2-dev):
 *   gcc generate.c -o generate -lsrtp2 && ./generate > libsrtp2.txt
 * A line is: suite, key and salt, MKI or "-", "rtp" or "rtcp", packet, protected packet. Lines of
 * one key follow one another as a sender made them, its state going on from line to line.
 */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

static unsigned state = 1;
static unsigned next(unsigned below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static void print(const unsigned char *octets, int len) {
    for (int i = 0; i < len; i++) printf("%02x", octets[i]);
}

static const struct {
    const char *name;
    int key_and_salt;
    void (*rtp)(srtp_crypto_policy_t *);
    void (*rtcp)(srtp_crypto_policy_t *);
} SUITES[] = {
    {"AES_CM_128_HMAC_SHA1_80", 30, srtp_crypto_policy_set_rtp_default,
     srtp_crypto_policy_set_rtp_default},
    {"AES_CM_128_HMAC_SHA1_32", 30, srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
     srtp_crypto_policy_set_rtp_default},
    {"AES_256_CM_HMAC_SHA1_80", 46, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
     srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    {"AES_256_CM_HMAC_SHA1_32", 46, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
     srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    {"AEAD_AES_128_GCM", 28, srtp_crypto_policy_set_aes_gcm_128_16_auth,
     srtp_crypto_policy_set_aes_gcm_128_16_auth},
    {"AEAD_AES_256_GCM", 44, srtp_crypto_policy_set_aes_gcm_256_16_auth,
     srtp_crypto_policy_set_aes_gcm_256_16_auth},
};

static void line(const char *suite, const unsigned char *key, int key_len, int mki_len,
                 const unsigned char *mki, const char *kind, srtp_t session,
                 const unsigned char *packet, int len) {
    unsigned char buffer[2048];
    int protected = len;
    memcpy(buffer, packet, len);
    srtp_err_status_t status = strcmp(kind, "rtp") == 0
        ? srtp_protect_mki(session, buffer, &protected, mki_len > 0, 0)
        : srtp_protect_rtcp_mki(session, buffer, &protected, mki_len > 0, 0);
    if (status != srtp_err_status_ok) {
        fprintf(stderr, "%s %s: status %d\n", suite, kind, status);
        return;
    }
    printf("%s ", suite);
    print(key, key_len);
    printf(" ");
    if (mki_len > 0) print(mki, mki_len); else printf("-");
    printf(" %s ", kind);
    print(packet, len);
    printf(" ");
    print(buffer, protected);
    printf("\n");
}

static int rtp(unsigned char *packet, unsigned sequence, unsigned number) {
    int csrcs = number % 3, words = number % 4 == 3 ? 2 : 0, payload = next(200), len = 12;
    packet[0] = 0x80 | csrcs | (words ? 0x10 : 0);
    packet[1] = number % 5 == 0 ? 0x88 : 8;
    packet[2] = sequence >> 8;
    packet[3] = sequence;
    memcpy(packet + 4, (unsigned[]){htonl(160 * number)}, 4);
    memcpy(packet + 8, (unsigned[]){htonl(0xcafe0000u + number % 2)}, 4);
    for (int i = 0; i < 4 * csrcs; i++) packet[len++] = next(256);
    if (words) {
        memcpy(packet + len, "\xbe\xde\x00\x02", 4);
        len += 4;
        for (int i = 0; i < 4 * words; i++) packet[len++] = next(256);
    }
    for (int i = 0; i < payload; i++) packet[len++] = next(256);
    return len;
}

static int rtcp(unsigned char *packet, unsigned number) {
    int blocks = number % 3, len = 8 + 24 * blocks;
    packet[0] = 0x80 | blocks;
    packet[1] = 201;
    packet[2] = 0;
    packet[3] = len / 4 - 1;
    memcpy(packet + 4, (unsigned[]){htonl(0xcafe0000u)}, 4);
    for (int i = 8; i < len; i++) packet[i] = next(256);
    return len;
}

int main(void) {
    srtp_init();
    for (unsigned suite = 0; suite < sizeof SUITES / sizeof *SUITES; suite++)
        for (int mki_len = 0; mki_len <= 4; mki_len += 4) {
            unsigned char key[64], mki[4], packet[1024];
            for (int i = 0; i < SUITES[suite].key_and_salt; i++) key[i] = next(256);
            for (int i = 0; i < 4; i++) mki[i] = next(256);
            srtp_master_key_t master = {key, mki, mki_len}, *masters[] = {&master};
            srtp_policy_t policy;
            memset(&policy, 0, sizeof policy);
            SUITES[suite].rtp(&policy.rtp);
            SUITES[suite].rtcp(&policy.rtcp);
            policy.ssrc.type = ssrc_any_outbound;
            policy.window_size = 128;
            if (mki_len > 0) {
                policy.keys = masters;
                policy.num_master_keys = 1;
            } else {
                policy.key = key;
            }
            srtp_t session;
            if (srtp_create(&session, &policy) != srtp_err_status_ok) {
                fprintf(stderr, "%s: no session\n", SUITES[suite].name);
                return 1;
            }
            /* Across the end of the sequence numbers, some out of order. */
            const int steps[] = {-6, -5, -3, -4, -2, -1, 0, 1, 3, 2, 4, 5};
            for (unsigned number = 0; number < sizeof steps / sizeof *steps; number++) {
                int len = rtp(packet, (unsigned)steps[number] & 0xffff, number);
                line(SUITES[suite].name, key, SUITES[suite].key_and_salt, mki_len, mki, "rtp",
                     session, packet, len);
            }
            for (unsigned number = 0; number < 4; number++) {
                int len = rtcp(packet, number);
                line(SUITES[suite].name, key, SUITES[suite].key_and_salt, mki_len, mki, "rtcp",
                     session, packet, len);
            }
            srtp_dealloc(session);
        }
    return 0;
}
